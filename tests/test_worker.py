"""What runs inside executors: start, layers that arrive late, hints, facts.

Each in a process of its own, as on a node.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from importlib import resources
from pathlib import Path

import pytest

from coffee_boat._support.store import Store
from coffee_boat.archive.chunks import chunk_path, listing
from coffee_boat.interpreter import worker_files
from coffee_boat.model import Target
from coffee_boat.worker import compose, facts

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"lib/python{MINOR}/site-packages"


class Node:
    """A node's folder: an interpreter's prefix with the worker's files in it, and a working
    directory where layers arrive.
    """

    def __init__(self, folder: Path) -> None:
        self.prefix, self.workdir = folder / "boat", folder / "work"
        self.workdir.mkdir()
        store = Store(folder / "store")
        self.chunk = worker_files.chunk(Target(f"{MINOR}.0"), store, has_python=True)
        with tarfile.open(
            chunk_path(store, self.chunk)
        ) as tar:  # a chunk has no end of archive, which tarfile takes
            self.members = tar.getnames()
            (
                tar.extractall(self.prefix, filter="fully_trusted")
                if sys.version_info >= (3, 12)
                else tar.extractall(self.prefix)
            )
        self.site = self.prefix / SITE
        (self.prefix / "boat.json").write_text(json.dumps({"lock": "abc123"}))

    def layer(
        self, name: str, files: dict[str, str], *, root: Path | None = None, complete: bool = True
    ) -> Path:
        layer = (root or self.workdir) / f"boat-layer-{name}"
        for path, text in files.items():
            (layer / SITE / path).parent.mkdir(parents=True, exist_ok=True)
            (layer / SITE / path).write_text(textwrap.dedent(text))
        if complete:
            (layer / "boat.json").write_text("{}")
        return layer

    def command(self, script: str) -> list[str]:
        """A script, and an interpreter that reads our .pth as the shipped one does and takes
        `prefix` for its own.
        """
        start = (
            f"import sys, site; sys.prefix = {str(self.prefix)!r};"
            f" site.addsitedir({str(self.site)!r})\n"
        )
        return [sys.executable, "-I", "-c", start + textwrap.dedent(script)]

    def run(self, script: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(script),
            cwd=self.workdir,
            env={"PATH": os.environ["PATH"], **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def says(self, script: str) -> str:
        done = self.run(script)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


# start


def test_the_chunk_holds_a_starter_and_the_workers_files_and_is_made_once(
    node: Node, tmp_path: Path
) -> None:
    assert f"{SITE}/coffee_boat.pth" in node.members
    assert {
        f"{SITE}/coffee_boat_worker/{name}.py"
        for name in ("__init__", "startup", "finder", "facts", "node")
    } <= set(node.members)
    again = Store(tmp_path / "store")
    assert worker_files.chunk(Target(f"{MINOR}.9"), again, has_python=True) == node.chunk
    bare = worker_files.chunk(Target(f"{MINOR}.9"), again, has_python=False)
    assert "bin/activate" in listing(node.chunk, again)
    assert not any(name.startswith("bin/") for name in listing(bare, again))
    assert (
        worker_files.chunk(
            Target("3.10.0" if MINOR != "3.10" else "3.11.0"), again, has_python=True
        )
        != node.chunk
    )


def test_the_finder_stands_last_and_once(node: Node) -> None:
    assert (
        node.says(
            "import coffee_boat_worker.startup as s; s.start(); print([type(f).__name__ for f in"
            " sys.meta_path].count('LayerFinder'), type(sys.meta_path[-1]).__name__)"
        )
        == "1 LayerFinder"
    )


def test_a_whole_archive_starts_in_silence(node: Node) -> None:
    assert node.run("pass").stderr == ""


def test_a_cut_archive_is_named_on_stderr_and_python_goes_on(node: Node) -> None:
    (node.prefix / "boat.json").unlink()
    done = node.run("print('alive')")
    assert done.stdout == "alive\n"
    assert f"{node.prefix} has no boat.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_users_own_packages_on_the_node_are_left_alone(node: Node, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    said = node.says(
        f"""
        import os
        theirs = {str(tmp_path / "theirs")!r}
        site.ENABLE_USER_SITE, site.USER_SITE = True, theirs
        sys.path.insert(1, theirs)
        import coffee_boat_worker.startup as s; s.start()
        print(theirs in sys.path, os.environ["PYTHONNOUSERSITE"])
        """
    )
    assert said == "False 1"


def test_a_failure_at_the_start_never_breaks_the_interpreter(node: Node) -> None:
    (node.site / "coffee_boat_worker" / "node.py").write_text(
        "def prepare(prefix): raise OSError('this node is odd')"
    )
    done = node.run("import sys; print(type(sys.meta_path[-1]).__name__)")
    assert done.stdout == "LayerFinder\n"
    assert "this node is odd" in done.stderr


# layers


def test_a_layer_that_arrives_late_is_imported_with_metadata_and_entry_points(node: Node) -> None:
    files = {
        "late.py": "value = 7",
        "late-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: late\nVersion: 1.5\n",
        "late-1.5.dist-info/entry_points.txt": "[boats]\nlate = late:value\n",
        "late.pth": "import os; os.environ['LATE_PTH'] = 'read'\n",
    }
    incoming = node.layer("1", files, root=node.prefix)
    script = f"""
        try: import late
        except ImportError: print("not yet")
        import os; os.rename({str(incoming)!r}, "boat-layer-1")
        import late, importlib.metadata as m
        print(late.value, m.version("late"), [e.load() for e in m.entry_points(group="boats")] if sys.version_info >= (3, 10) else [7], os.environ["LATE_PTH"])
    """  # noqa: E501
    assert node.says(script).splitlines() == ["not yet", "7 1.5 [7] read"]


def test_metadata_is_found_before_the_first_import(node: Node) -> None:
    node.layer(
        "1",
        {
            "late.py": "",
            "late-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: late\nVersion: 1.5\n",
        },
    )
    assert node.says("import importlib.metadata as m; print(m.version('late'))") == "1.5"


def test_a_layer_that_is_still_being_unpacked_does_not_count_yet(node: Node) -> None:
    layer = node.layer("1", {"late.py": "value = 1"}, complete=False)
    script = f"""
        try: import late
        except ImportError: print("not yet")
        open({str(layer / "boat.json")!r}, "w").close()
        import late; print(late.value)
    """
    assert node.says(script).splitlines() == ["not yet", "1"]


def test_a_namespace_package_that_is_loaded_already_spans_a_layer(node: Node) -> None:
    for part in ("cloud/base", "cloud/common/first"):
        (node.site / "acme" / part).mkdir(parents=True)
    (node.site / "acme/cloud/base/__init__.py").write_text("value = 'base'")
    (node.site / "acme/cloud/common/first/__init__.py").write_text("value = 'first'")
    incoming = node.layer(
        "1",
        {
            "acme/cloud/extra/__init__.py": "value = 'extra'",
            "acme/cloud/common/second.py": "value = 'second'",
        },
        root=node.prefix,
    )
    script = f"""
        import os, acme.cloud.base, acme.cloud.common.first
        try: import acme.cloud.extra
        except ModuleNotFoundError as e: print(e.name)
        os.rename({str(incoming)!r}, "boat-layer-1")
        import acme.cloud.extra, acme.cloud.common.second
        print(acme.cloud.base.value, acme.cloud.common.first.value, acme.cloud.extra.value, acme.cloud.common.second.value)
    """  # noqa: E501
    assert node.says(script).splitlines() == ["acme.cloud.extra", "base first extra second"]


def test_the_base_wins_over_a_layer(node: Node) -> None:
    (node.site / "both.py").write_text("value = 'base'")
    node.layer("1", {"both.py": "value = 'layer'", "late.py": ""})
    assert node.says("import late, both; print(both.value)") == "base"


def test_a_finder_that_a_layers_pth_installs_is_asked_in_the_same_import(node: Node) -> None:
    editable = """
        import sys
        from importlib.machinery import ModuleSpec
        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None):
                return ModuleSpec(name, Finder) if name == "virtual" else None
            create_module = staticmethod(lambda spec: None)
            exec_module = staticmethod(lambda module: setattr(module, "value", 3))
        sys.meta_path.append(Finder)
    """
    node.layer("1", {"_editable.py": editable, "virtual.pth": "import _editable\n"})
    assert node.says("import virtual; print(virtual.value)") == "3"


def test_layers_lie_in_sparkfiles_root_too(node: Node, tmp_path: Path) -> None:
    node.layer("1", {"late.py": "value = 5"}, root=tmp_path / "userFiles")
    script = f"""
        import types
        files = sys.modules["pyspark.files"] = types.ModuleType("pyspark.files")
        class SparkFiles: _is_running_on_worker, _root_directory = True, {str(tmp_path / "userFiles")!r}
        files.SparkFiles = SparkFiles
        import late; print(late.value)
    """  # noqa: E501
    assert node.says(script) == "5"


def test_many_threads_import_from_many_layers_while_they_arrive(node: Node) -> None:
    for number in range(20):
        node.layer(
            f"{number}",
            {
                f"late{number}.py": f"value = {number}",
                f"late{number}.pth": f"import late{number}\n",
            },
            root=node.prefix,
        )
    script = f"""
        import importlib, os, threading, time
        found, lock = [], threading.Lock()
        def look():
            for number in range(20):
                while True:
                    try: module = importlib.import_module(f"late{{number}}")
                    except ImportError: time.sleep(0.001); continue
                    with lock: found.append(module.value)
                    break
        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads: thread.start()
        for number in range(20): os.rename({str(node.prefix)!r} + f"/boat-layer-{{number}}", f"boat-layer-{{number}}"); time.sleep(0.002)
        for thread in threads: thread.join()
        print(sum(found), len(found), len([p for p in sys.path if "boat-layer" in p]))
    """  # noqa: E501
    assert node.says(script) == f"{8 * 190} 160 20"


def test_a_working_directory_that_is_gone_breaks_nothing(node: Node) -> None:
    assert "NameNotThere" in node.says(
        "import os; os.rmdir(os.getcwd())\ntry: import NameNotThere\nexcept ImportError as e:"
        " print(e.name)"
    )


PROGRAM = "#!/bin/sh\necho {}\n"
BREW = "import subprocess; print(subprocess.check_output(['brew'], text=True).strip())"


SPARKS = {"SPARK_LOCAL_DIRS": "/blocks"}
"""What an executor's Python is told."""


def program(folder: Path, name: str, says: str) -> None:
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / name).write_text(PROGRAM.format(says))
    (folder / "bin" / name).chmod(0o755)


def test_programs_of_a_layer_are_found_at_once_in_what_starts_after_it(node: Node) -> None:
    program(node.layer("a", {"a.py": ""}), "brew", "of the layer")
    for script in (BREW, f"import os; os.chdir('/'); {BREW}"):
        assert node.run(script, **SPARKS).stdout == "of the layer\n"


def test_only_where_spark_started_it_the_working_directory_is_looked_at(node: Node) -> None:
    pth = node.layer("a", {"a.pth": "import sys; sys.stderr.write('ran')"})
    program(pth, "brew", "of the layer")
    done = node.run("import os; print(os.environ['PATH'])")
    assert done.stdout.startswith(f"{node.prefix}/bin:")
    assert "boat-programs" not in done.stdout
    assert not done.stderr


@pytest.mark.parametrize("path", ["", "{own}:/usr/bin", "/first:{own}:/usr/bin", "/usr/bin:{own}"])
def test_those_of_the_environment_come_first_and_path_grows_once(node: Node, path: str) -> None:
    program(node.layer("a", {"a.py": ""}), "brew", "of the layer")
    program(node.prefix, "brew", "of the environment")
    path = path.format(own=f"{node.prefix}/bin")
    nested = node.command(f"import os; print(os.environ['PATH']); {BREW}")
    again = f"import subprocess, sys; subprocess.run({nested!r})"
    done = node.run(again, **SPARKS, PATH=path)
    grown, said = done.stdout.splitlines()
    assert said == "of the environment", done.stderr
    assert grown.split(":").count(f"{node.workdir}/boat-programs") == 1


def test_a_process_finds_those_of_a_layer_that_came_later_and_another_process_saw(
    node: Node,
) -> None:
    """As workers of an executor, of which one answers that it has the layer."""
    waits = node.command(f"print('up', flush=True); input(); {BREW}")
    with subprocess.Popen(
        waits,
        cwd=node.workdir,
        env={"PATH": os.environ["PATH"], **SPARKS},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "up\n"
        program(node.layer("a", {"a.py": ""}), "brew", "of the layer")
        assert node.says("import a; print('seen')") == "seen"
        assert first.communicate("\n")[0] == "of the layer\n"


def test_those_of_a_composed_generation_are_its_own(node: Node, tmp_path: Path) -> None:
    generation = tmp_path / "boat-gen-0123abcd"
    generation.mkdir()
    spec = {"python": MINOR, "has_python": True, "base": "b", "layers": [], "without": {}}
    (generation / compose.SPEC).write_text(json.dumps({**spec, "known": []}))
    program(node.layer("a-0123abcd", {"a.py": ""}), "brew", "of a generation")
    done = node.run(BREW, **SPARKS, **{compose.RUNS: str(generation)})
    assert done.stdout == "of a generation\n", done.stderr
    assert "FileNotFoundError" in node.run(BREW, **SPARKS).stderr


def test_what_cannot_be_linked_is_told(node: Node) -> None:
    program(node.layer("a", {"a.py": ""}), "brew", "of the layer")
    (node.workdir / "boat-programs").write_text("in the way")
    done = node.run("import a; print('imported')")
    assert done.stdout == "imported\n"
    assert "coffee_boat: brew cannot be found on PATH: " in done.stderr


# hints


@pytest.mark.parametrize(
    "statement",
    [
        "import helpers",
        "from helpers import f",
        "import importlib; importlib.import_module('helpers')",
        "import pickle; pickle.loads(b'chelpers\\nf\\n.')",
        "import helpers.part",
    ],
)
def test_a_module_that_nobody_has_says_what_to_do(node: Node, statement: str) -> None:
    text = node.says(
        f"try: exec({statement!r})\nexcept ModuleNotFoundError as e: print(e.name); print(e)"
    )
    name, first, *_ = text.splitlines()
    assert (name, first) == ("helpers", "No module named 'helpers'")
    own, package = (text.index(said) for said in ("add_local", "add_pip_packages"))
    assert own < package, "a name of your own may be anybody's on an index"
    assert 'captain.add_pip_packages("helpers")' in text
    assert 'captain.add_local("helpers.py")' in text
    assert "boat launch --local helpers.py" in text


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("import sklearn", '"scikit-learn"'),
        ("import google.cloud.storage", '"google-cloud-storage"'),
        ("from google.cloud import bigquery, storage", '"google-cloud-bigquery"'),
        ("from azure.storage.blob import BlobClient", '"azure-storage-blob"'),
        ("import google", "shared by many packages"),
        ("import osgeo", 'add_conda_packages("gdal"'),
        ("import cgi_of_mine", 'captain.add_local("cgi_of_mine.py")'),
    ],
)
def test_a_well_known_module_is_named_as_on_pypi(node: Node, statement: str, said: str) -> None:
    assert said in node.run(statement).stderr


def test_a_part_of_a_shared_folder_is_named_by_its_own_package(node: Node) -> None:
    for part in ("protobuf", "cloud/storage"):
        (node.site / "google" / part).mkdir(parents=True)
    assert '"google-cloud-pubsub"' in node.run("import google.cloud.pubsub_v1").stderr
    assert '"google-auth"' in node.run("import google.auth.transport").stderr


def test_looking_without_importing_still_answers_none(node: Node) -> None:
    assert (
        node.says(
            "import importlib.util as u, pkgutil; print(u.find_spec('helpers'),"
            " pkgutil.find_loader('helpers') if sys.version_info < (3, 12) else None)"
        )
        == "None None"
    )


@pytest.mark.parametrize("name", ["_speedups", "_tkinter_not", "email.nothing", "os.path.nothing"])
def test_no_hint_for_accelerators_and_submodules(node: Node, name: str) -> None:
    assert "captain" not in node.says(f"try: import {name}\nexcept ImportError as e: print(e)")


# facts


def test_facts_of_a_process_that_came_from_an_archive(node: Node) -> None:
    (node.site / "pkg_A-2.0.dist-info").mkdir()
    (node.site / "pkg_A-2.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: Pkg.A\nVersion: 2.0\n"
    )
    (node.site / "broken-1.0.dist-info").mkdir()
    said = json.loads(
        node.says(
            "import json; from coffee_boat_worker import facts;"
            " print(json.dumps(facts.collect(['json', 'nothing_here'], ['json', 'helpers'])))"
        )
    )
    assert said["lock_digest"] == "abc123"
    assert said["distributions"]["pkg-a"] == "2.0"
    assert "broken" not in said["distributions"]
    assert list(said["import_errors"]) == ["nothing_here"]
    assert said["absent"] == ["helpers"]
    assert said["executor"] == "driver"
    assert said["workdir"] == str(node.workdir)
    assert (
        said["executable"] in said["foreign_files"]
    )  # this test's interpreter lies outside of the node's folders


def test_an_executors_id_is_its_jvms(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', 'from"
        " coffee_boat.worker import facts; print(facts.executor_id())']))"
    )
    root = str(Path(facts.__file__).parents[2])
    jvm = [
        sys.executable,
        "-c",
        script,
        "--driver-url",
        "spark://x",
        "--executor-id",
        "17",
        "--cores",
        "1",
    ]
    done = subprocess.run(
        jvm, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, check=True
    )
    assert done.stdout == "17\n"


MAY_BE_THE_NODES = [
    "/lib/ld-linux-aarch64.so.1",
    "/lib64/ld-2.28.so",
    "/lib64/ld-linux-x86-64.so.2",
    "/lib64/libc-2.28.so",
    "/lib64/libnss_files-2.28.so",
    "/lib64/libz.so.1.2.11",
    "/node/boat/lib/libssl.so.3",
    "/tmp/ffiAb3dEf",
    "/usr/lib/locale/C.utf8/LC_CTYPE",
    "/usr/lib/locale/locale-archive",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30",
    "/usr/lib64/gconv/gconv-modules.cache",
    "/usr/lib64/libcuda.so.535.104.05",
    "/usr/lib64/libgcc_s-8-20210514.so.1",
    "/usr/lib64/libglib-2.0.so.0.5600.4",
]
FOREIGN = [
    "/node/boat2/lib/x.so",
    "/usr/bin/python3.11",
    "/usr/lib/libcrypto.so.1.1",
    "/usr/lib/libcurl.so.4",
    "/usr/lib/libpython3.11.so.1.0",
    "/usr/lib/libzstd.so.1",
    "/usr/lib/x86_64-linux-gnu/libssl.so.3",
]


def test_only_files_of_the_node_that_no_manylinux_wheel_may_use_are_foreign() -> None:
    assert facts.foreign_files([*MAY_BE_THE_NODES, *FOREIGN], ["/node/boat"]) == FOREIGN


def test_mapped_files_are_read_from_a_maps_file(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_text(
        "7f0-7f1 r-xp 00000000 08:01 12 /usr/lib/libssl.so.3\n7f1-7f2 r--p 00000000 08:01 12"
        " /usr/lib/libssl.so.3\n7f2-7f3 rw-p 00000000 00:00 0 \n7f3-7f4 rw-p 00000000 00:00 0"
        " [heap]\n7f4-7f5 rw-s 00000000 00:05 9 /dev/zero (deleted)\n7f5-7f6 r-xp 00000000 08:01 13"
        " /a folder/with blanks.so (deleted)\n7f6-7f7 rw-s 00000000 00:01 3 /memfd:libffi"
        " (deleted)\n"
    )
    assert facts.mapped_files(str(maps)) == ["/a folder/with blanks.so", "/usr/lib/libssl.so.3"]


def test_what_a_manylinux_wheel_may_take_from_its_node_is_auditwheels_list() -> None:
    policies = json.loads(
        resources.files("auditwheel.policy").joinpath("manylinux-policy.json").read_text("utf-8")
    )
    allowed = {library for policy in policies for library in policy["lib_whitelist"]}
    assert len(allowed) > 20
    assert {name for name in allowed if not facts.LIBRARY.fullmatch(name)} == set()
    assert not facts.LIBRARY.fullmatch("libssl.so.3")


def test_modules_that_another_folder_hides_are_told(node: Node, tmp_path: Path) -> None:
    for name in ("numbers_x", "pandas_x", "google_x", "tests"):
        (node.site / name).mkdir()
        (node.site / name / "__init__.py").touch()
    (node.site / "six_x.py").touch()
    (node.site / "fast_x.abi3.so").touch()
    other = tmp_path / "other"
    for folder in (
        "numbers_x",
        "google_x/cloud",
    ):  # google: a folder without __init__ hides nothing
        (other / folder).mkdir(parents=True)
    (other / "numbers_x/__init__.py").touch()
    for name in ("tests.py", "six_x.py", "fast_x.py", "unrelated.py"):
        (other / name).touch()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("pandas_x/__init__.py", "")
        archive.writestr("pyspark/__init__.py", "")
    look = "from coffee_boat_worker import facts; print(json.dumps(facts.shadowed()))"
    ahead = f"sys.path[:0] = [{str(other)!r}, {str(tmp_path / 'other.zip')!r}]"
    assert json.loads(node.says(f"import json; {ahead}; {look}")) == {
        "numbers_x": str(other / "numbers_x"),
        "pandas_x": str(tmp_path / "other.zip/pandas_x"),
        "six_x": str(other / "six_x.py"),
        "fast_x": str(other / "fast_x.py"),
    }
    behind = f"sys.path.append({str(other)!r})"
    assert json.loads(node.says(f"import json; {behind}; {look}")) == {}


def test_programs_of_the_environment_are_first_on_path(node: Node) -> None:
    (node.prefix / "bin").mkdir(exist_ok=True)
    tool = node.prefix / "bin/boat-test-tool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    ask = (
        "import os, subprocess; print(subprocess.check_output('boat-test-tool', text=True).strip(),"
    )
    ask += " os.environ['PATH'].split(':')[0], 'CONDA_PREFIX' in os.environ)"
    assert node.says(ask) == f"found {os.path.realpath(node.prefix)}/bin False"
