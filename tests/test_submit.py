"""What is handed to spark-submit: read, merged, and written so that Spark and shells take it as it
was.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from coffee_boat._support.store import Store
from coffee_boat.errors import LaunchError, RequirementError
from coffee_boat.model import ConfPatch
from coffee_boat.spark import facts as spark_facts
from coffee_boat.spark import install, submission
from coffee_boat.spark import script as spark_script
from coffee_boat.spark.install import Spark
from coffee_boat.workflow import driver, submit

PATCH = ConfPatch(
    python="./boat-1/bin/python3.11",
    conf={"spark.archives": "mine.zip#mine,/store/boat.tar.gz#boat-1"},
    environment={"PYTHONNOUSERSITE": "1", "PYTHONHOME": ""},
)


@pytest.fixture(autouse=True)
def _no_spark_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "SPARK_HOME",
        "SPARK_CONF_DIR",
        "PYSPARK_PYTHON",
        "PYSPARK_DRIVER_PYTHON",
        "JAVA_HOME",
    ):
        monkeypatch.delenv(name, raising=False)


def fake_spark(folder: Path, script: str = "exit 0", defaults: str = "") -> Spark:
    """A SPARK_HOME whose programs are a shell script: they show what they were given."""
    (folder / "bin").mkdir(parents=True)
    (folder / "conf").mkdir()
    (folder / "conf" / "spark-defaults.conf").write_text(defaults, "utf-8")
    for name in ("spark-submit", "pyspark"):
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        program.chmod(0o755)
    return Spark("4.1.1", str(folder))


def order_for(
    spark: Spark, *, python: str = "/venv/bin/python", **said: object
) -> submission.Order:
    return submission.order(spark, spark_facts.facts_of(spark, python=python, **said), PATCH)  # type: ignore[arg-type]


# scripts


def script(folder: Path, text: str) -> Path:
    path = folder / "job.py"
    path.write_text(text, "utf-8")
    return path


def test_a_header_tells_which_python(tmp_path: Path) -> None:
    found = spark_script.read_header(
        script(
            tmp_path,
            '#!/usr/bin/env python\n# /// script\n# requires-python = ">=3.11"\n# dependencies ='
            ' [\n#   "edtf",\n# ]\n# ///\nprint(1)\n',
        )
    )
    assert found is not None
    assert found.requires_python == ">=3.11"
    spark_script.refuse_other_python(found, "3.11.0")
    with pytest.raises(RequirementError, match=r"another Python.*>=3\.11"):
        spark_script.refuse_other_python(found, "3.10.13")


def test_a_script_of_this_machine_may_be_a_url_and_one_of_elsewhere_is_not_looked_for(
    tmp_path: Path,
) -> None:
    path = script(tmp_path, "# /// script\n# dependencies = ['edtf']\n# ///\n")
    for said in (path.as_uri(), f"file:{path}"):
        assert spark_script.read_header(said) is not None
    for said in ("hdfs:/jobs/job.py", "local:/opt/job.py", "s3a://bucket/job.py"):
        assert spark_script.read_header(said) is None


@pytest.mark.parametrize(
    "text", ["print(1)\n", "# /// pyproject\n# a = 1\n# ///\n", "# /// script\nprint(1)\n"]
)
def test_a_script_without_a_header_is_no_trouble(tmp_path: Path, text: str) -> None:
    assert spark_script.read_header(script(tmp_path, text)) is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("# /// script\n# a = 1\n# ///\n\n# /// script\n# b = 1\n# ///\n", "two headers"),
        ("# /// script\n# dependencies = [\n# ///\n", "not TOML"),
        ("# /// script\n# requires-python = 3\n# ///\n", "not a string"),
    ],
)
def test_a_broken_header_is_refused(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(RequirementError, match=what):
        spark_script.read_header(script(tmp_path, text))


def test_a_header_ends_where_pep_723_says(tmp_path: Path) -> None:
    """A closing line within the block belongs to it: the last one counts."""
    found = spark_script.read_header(
        script(
            tmp_path,
            '# /// script\n# text = """\n# ///\n# """\n# requires-python = ">=3.11"\n#'
            " ///\nprint(1)\n",
        )
    )
    assert found is not None
    assert found.requires_python == ">=3.11"


def test_a_wrong_specifier_is_refused(tmp_path: Path) -> None:
    found = spark_script.read_header(
        script(tmp_path, '# /// script\n# requires-python = "3.x or so"\n# ///\n')
    )
    assert found is not None
    with pytest.raises(RequirementError, match="cannot be read"):
        spark_script.refuse_other_python(found, "3.11.7")


def test_a_missing_script_is_refused_and_a_remote_one_is_left_to_spark(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="not there"):
        spark_script.read_header(tmp_path / "none.py")
    assert spark_script.read_header("hdfs://host/job.py") is None


# what Spark is told


def test_what_is_said_beats_spark_defaults_which_beat_sparks_own(tmp_path: Path) -> None:
    spark = fake_spark(
        tmp_path, defaults="spark.master local[3]\nspark.x = a\nspark.y b\nnot.spark c\n"
    )
    facts = spark_facts.facts_of(spark, conf={"spark.x": "said"})
    assert (facts.master, facts.deploy_mode, facts.version) == ("local[3]", "client", "4.1.1")
    assert facts.conf == {"spark.master": "local[3]", "spark.x": "said", "spark.y": "b"}
    assert spark_facts.facts_of(spark, master="local[1]").master == "local[1]"
    assert spark_facts.facts_of(Spark("4.1.1", str(tmp_path / "elsewhere"))).master == "local[*]"


def test_spark_conf_dir_names_other_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark = fake_spark(tmp_path / "spark", defaults="spark.x home")
    (tmp_path / "spark-defaults.conf").write_text("spark.x dir", "utf-8")
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    assert spark_facts.facts_of(spark).conf == {"spark.x": "dir"}


def test_defaults_are_read_as_java_reads_properties(tmp_path: Path) -> None:
    text = (
        "# no\n! no\n\n  spark.a:1\nspark.b = x \\\n   y\nspark.c=a=b:c\nspark.d\nspark.e\\:f"
        " \\u00e9\\\\n\\t.\nspark.g=\\ud83d\\ude00\n"
    )
    conf = spark_facts.facts_of(fake_spark(tmp_path, defaults=text)).conf
    assert conf == {
        "spark.a": "1",
        "spark.b": "x y",
        "spark.c": "a=b:c",
        "spark.d": "",
        "spark.e:f": "é\\n\t.",
        "spark.g": "😀",
    }


def test_in_client_mode_the_driver_keeps_its_own_interpreter(tmp_path: Path) -> None:
    spark = fake_spark(tmp_path)
    client, cluster = (
        order_for(spark),
        order_for(spark, deploy_mode="cluster", conf={"spark.pyspark.driver.python": "/mine"}),
    )
    assert (
        client.conf["spark.pyspark.python"]
        == cluster.conf["spark.pyspark.python"]
        == "./boat-1/bin/python3.11"
    )
    assert client.conf["spark.pyspark.driver.python"] == "/venv/bin/python"
    assert "spark.pyspark.driver.python" not in cluster.complete
    assert (
        order_for(spark, conf={"spark.pyspark.driver.python": "/mine"}).conf[
            "spark.pyspark.driver.python"
        ]
        == "/mine"
    )


def test_the_executors_variables_become_settings(tmp_path: Path) -> None:
    conf = order_for(fake_spark(tmp_path)).conf
    assert (conf["spark.executorEnv.PYTHONNOUSERSITE"], conf["spark.executorEnv.PYTHONHOME"]) == (
        "1",
        "",
    )


# the formats


def test_the_users_own_settings_are_not_printed(tmp_path: Path) -> None:
    order = order_for(fake_spark(tmp_path), conf={"spark.hadoop.fs.s3a.secret.key": "hunter2"})
    assert order.complete["spark.hadoop.fs.s3a.secret.key"] == "hunter2"
    assert "hunter2" not in repr(order)
    for render in (
        submission.as_arguments,
        submission.as_properties,
        submission.as_json,
        submission.as_yaml,
    ):
        assert "hunter2" not in render(order)
        assert "boat-1" in render(order)


def test_arguments_pass_through_a_shell_unharmed(tmp_path: Path) -> None:
    patch = ConfPatch(python="/a b/$HOME/python", conf={"spark.archives": "it's.zip#x"})
    spark = fake_spark(tmp_path)
    text = submission.as_arguments(
        submission.order(
            spark, spark_facts.facts_of(spark, master="local-cluster[2,1,1024]", python="/p"), patch
        )
    )
    echoed = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {text}"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert echoed == shlex.split(text)
    assert echoed[:4] == ["--master", "local-cluster[2,1,1024]", "--deploy-mode", "client"]
    assert {"spark.archives=it's.zip#x", "spark.pyspark.python=/a b/$HOME/python"} <= set(echoed)


def test_json_and_yaml_hold_the_settings(tmp_path: Path) -> None:
    order = order_for(fake_spark(tmp_path), master="spark://h:7077")
    assert json.loads(submission.as_json(order)) == {
        "master": "spark://h:7077",
        "deployMode": "client",
        "conf": dict(order.conf),
    }
    lines = submission.as_yaml(order).splitlines()
    assert lines[:3] == ["spec:", "  mode: client", "  sparkConf:"]
    assert dict(json.loads("{" + line.strip() + "}").popitem() for line in lines[3:]) == order.conf


def test_properties_come_back_as_they_were(tmp_path: Path) -> None:
    odd = {
        "spark.a b=c:d": "1",
        "spark.v": "C:\\temp\n é 😀 = : # !",
        "spark.w": "\t tab",
        "spark.empty": "",
    }
    spark = fake_spark(tmp_path)
    text = submission.as_properties(
        submission.order(
            spark, spark_facts.facts_of(spark, python="/p"), ConfPatch(python="p", conf=odd)
        )
    )
    assert text.isascii()
    conf = spark_facts.facts_of(fake_spark(tmp_path / "again", defaults=text)).conf
    assert {key: conf[key] for key in odd} == {
        **odd,
        "spark.w": "tab",
    }  # Spark trims values, and so do we


# running it


def test_spark_submit_gets_settings_in_a_private_file_and_its_code_comes_back(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    spark = fake_spark(
        tmp_path / "spark",
        f'stat -c %a "$2" > {out}; cat "$2" >> {out}; shift 2; printf "%s\\n" "$@"'
        f' "$PYSPARK_DRIVER_PYTHON" "$JAVA_HOME" >> {out}; exit 7',
    )
    order = order_for(spark, master="local[2]", conf={"spark.secret": "hunter2"})
    assert (
        submit.run(order, "job.py", ["--pip", "x y", "-h"], environment={"JAVA_HOME": "/java"}) == 7
    )
    said = out.read_text("utf-8").splitlines()
    assert said[0] == "600"
    assert {
        "spark.secret=hunter2",
        "spark.master=local[2]",
        "spark.submit.deployMode=client",
    } <= set(said)
    assert said[-6:] == ["job.py", "--pip", "x y", "-h", "/venv/bin/python", "/java"]


def test_the_shell_is_told_of_the_executors_python_by_its_environment(tmp_path: Path) -> None:
    out = tmp_path / "out"
    spark = fake_spark(tmp_path / "spark", f'echo "$PYSPARK_PYTHON $PYSPARK_DRIVER_PYTHON" > {out}')
    assert submit.run(order_for(spark, master="local[2]")) == 0
    assert out.read_text("utf-8").split() == ["./boat-1/bin/python3.11", "/venv/bin/python"]


def test_nothing_secret_stands_in_the_process_list_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    spark = fake_spark(tmp_path / "spark", f"tr '\\0' ' ' < /proc/$$/cmdline > {tmp_path}/argv")
    assert submit.run(order_for(spark, conf={"spark.secret": "hunter2"}), "job.py") == 0
    assert "spark.conf" in (tmp_path / "argv").read_text()
    assert "hunter2" not in (tmp_path / "argv").read_text()
    assert os.listdir(tmp_path / "tmp") == []


def test_without_a_script_the_shell_starts_with_the_users_own_front_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_DRIVER_PYTHON", "ipython")
    spark = fake_spark(
        tmp_path, f'echo "$(basename $0) $# $PYSPARK_DRIVER_PYTHON" > {tmp_path}/out'
    )
    assert submit.run(order_for(spark)) == 0
    assert (tmp_path / "out").read_text() == "pyspark 2 ipython\n"


def test_a_signal_is_told_as_a_shell_tells_it(tmp_path: Path) -> None:
    assert submit.run(order_for(fake_spark(tmp_path, "kill -TERM $$")), "job.py") == 143


def test_a_signal_reaches_the_application_and_its_end_is_waited_for(tmp_path: Path) -> None:
    spark = fake_spark(
        tmp_path / "spark",
        "trap 'sleep 0.2; echo cleaned; exit 5' TERM; echo ready; while :; do sleep 0.05; done",
    )
    code = (
        "import sys; from coffee_boat.model import ConfPatch; from coffee_boat.workflow import"
        " submit; from coffee_boat.spark import facts, install, submission;"
        f" spark = install.Spark('4.1.1', {spark.home!r});"
        " told = facts.facts_of(spark, python='p');"
        " order = submission.order(spark, told, ConfPatch(python='p'));"
        " sys.exit(submit.run(order, 'job.py'))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.communicate(timeout=20)[0] == "cleaned\n"
    assert process.returncode == 5


# the driver's interpreter


def test_a_driver_imports_more_after_its_own(tmp_path: Path) -> None:
    extra = tmp_path / "it's extra"
    extra.mkdir()
    (extra / "boat_only.py").write_text("where = 'extra'\n", "utf-8")
    (extra / "pytest.py").write_text("raise RuntimeError('shadows')\n", "utf-8")
    store = Store(tmp_path / "store")
    python = driver.driver_python([str(extra)], store)
    code = (
        "import boat_only, pytest, sys; print(boat_only.where, pytest.__file__, '%d.%d.%d' %"
        " sys.version_info[:3])"
    )
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd="/")
    assert done.stdout.split() == [
        "extra",
        pytest.__file__,
        "{}.{}.{}".format(*sys.version_info[:3]),
    ]
    # The interpreter's own place: below an environment, only one that lies where it was built finds
    # its library.
    home = Path(python).parents[1].joinpath("pyvenv.cfg").read_text("utf-8").splitlines()[0]
    assert home == f"home = {sys.base_prefix}/bin"
    store.root.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert driver.driver_python([str(extra)], store) == python


def test_a_driver_that_lacks_nothing_is_this_interpreter(tmp_path: Path) -> None:
    assert driver.driver_python([], Store(tmp_path)) == sys.executable


def test_a_spark_home_without_spark_submit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyspark")
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    with pytest.raises(LaunchError, match="no spark-submit"):
        install.find_spark()
