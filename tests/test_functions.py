"""Python functions for programs of the JVM: how they are written, what is refused before Spark
starts, and what Spark is handed.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import functools
import hashlib
import importlib
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import typing
import zipfile
from collections.abc import Iterator, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import with_chunks_of
from test_submit import fake_spark

from coffee_boat import BoatError, Captain, LaunchError, RequirementError, requirements
from coffee_boat._support.store import Store
from coffee_boat.cli import words
from coffee_boat.cli.main import boat
from coffee_boat.model import Function
from coffee_boat.spark import _describe, _program, program

MASTER = "local-cluster[1,1,1024]"
ROOT = Path(__file__).resolve().parent.parent
TEXT = """
import sys
from pyspark.sql.types import ArrayType, StringType
from pyspark.sql.functions import udf
NUMBER = 3
def tokenize(text: str) -> list[str]:
    return text.split()
def untyped(text):
    return text
def series(text: "pandas.Series") -> "pandas.Series":
    return text
@udf(ArrayType(StringType()))
def decorated(text):
    return text.split()
class Words:
    def eval(self, text: str):
        yield from ((word, len(word)) for word in text.split())
"""
WORDED = """
from pyspark.sql.functions import udf
@udf("array<string>")
def tokenize(text):
    return helper(text)
def helper(text):
    return text.split()
"""
WRAPPED = """
from functools import partial
from pyspark.sql.functions import udf
from pyspark.sql.types import StringType
def plain(text: str, mark: str = "?") -> str:
    return text + mark
shout = partial(plain, mark="!")
loud = udf(plain, StringType(), useArrow=False).asNondeterministic()
class Words:
    @classmethod
    def one(cls, text):
        return text
"""
HINTS = """
from __future__ import annotations
import os
os.system("echo a child of the module prints")
def in_brackets(text) -> [str]:
    return [text]
def of_others(text: Somewhere.Else) -> list[str]:
    return [text]
def of_nobody(text: str) -> Nowhere:
    return text
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with a package, which is the working directory."""
    (tmp_path / "mypkg").mkdir()
    texts = {"text": TEXT, "worded": WORDED, "wrapped": WRAPPED, "hints": HINTS, "broken": "1 / 0"}
    for name, text in {"__init__": "", **texts}.items():
        (tmp_path / "mypkg" / f"{name}.py").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    for name in ("SPARK_HOME", "SPARK_CONF_DIR", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def captain(pyspark_is_packed: None, tmp_path: Path) -> Iterator[Captain]:
    with Captain(ship_python=False, offline=True, store=tmp_path / "store") as captain:
        yield captain.add_local("mypkg")


def jar(path: Path, *classes: str, main: str = "") -> Path:
    manifest = "Manifest-Version: 1.0\r\n" + (f"Main-Class: {main}\r\n" if main else "")
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("META-INF/MANIFEST.MF", manifest)
        for name in classes:
            out.writestr(f"{name.replace('.', '/')}.class", b"")
    return path


# how they are written


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("f=m:g", Function("f", "m", "g")),
        (" tokenize = mypkg.text:Words.eval ", Function("tokenize", "mypkg.text", "Words.eval")),
        ("f=m:g -> array<string>", Function("f", "m", "g", "array<string>")),
        ("f=m:g->map<string,array<int>>", Function("f", "m", "g", "map<string,array<int>>")),
        ("f=m:g -> word string, n int", Function("f", "m", "g", "word string, n int")),
    ],
)
@pytest.mark.once
def test_a_function_is_a_name_a_place_and_perhaps_a_type(text: str, asked: Function) -> None:
    assert requirements.read_function(text) == asked


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("tokenize", "functions.unreadable"),
        ("f=mypkg.text.tokenize", "functions.unreadable"),
        ("f=m:g:h", "functions.unreadable"),
        ("f=m:g -> ", "functions.unreadable"),
        ("f=:g", "functions.unreadable"),
        ("f=m..n:g", "functions.unreadable"),
        ("f=m:1g", "functions.unreadable"),
        ("my-f=m:g", "functions.name-invalid"),
        ("1f=m:g", "functions.name-invalid"),
    ],
)
@pytest.mark.once
def test_what_is_written_otherwise_is_refused_with_what_to_type(text: str, code: str) -> None:
    with pytest.raises(RequirementError) as caught:
        requirements.read_function(text)
    assert caught.value.code == code
    assert "--function 'tokenize=mypkg.text:tokenize -> array<string>'" in caught.value.cure


def test_two_functions_of_one_name_are_refused_in_one_command() -> None:
    told = CliRunner().invoke(
        boat, ["conf", "--driver", "jvm", "--function", "f=m:g", "--function", "F=m:other"]
    )
    assert told.exit_code == 3
    assert "two functions have the same name in SQL: f=m:g and F=m:other" in told.stderr
    requirements.refuse_functions_twice([Function("f", "m", "g"), Function("f", "m", "g")])


def test_a_spark_with_a_driver_in_python_takes_no_function() -> None:
    told = CliRunner().invoke(boat, ["conf", "--function", "f=m:g"])
    assert told.exit_code == 2
    assert "add --driver jvm" in told.stderr


def test_a_function_itself_goes_by_its_place_and_one_of_a_notebook_by_value() -> None:
    assert requirements.function("f", json.dumps) == Function("f", "json", "dumps")

    def local(text: str) -> str:
        return text.upper()

    asked = requirements.function("f", local, "string")
    assert (asked.module, asked.returns) == ("", "string")
    assert pickle.loads(base64.b64decode(asked.pickled))("a") == "A"
    with pytest.raises(RequirementError) as caught:
        requirements.function("f", lambda _, lines=(n for n in ()): lines)
    assert caught.value.code == "functions.not-picklable"


def test_what_wraps_a_function_of_a_module_is_not_taken_for_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyspark.sql.functions import udf
    from pyspark.sql.types import IntegerType

    monkeypatch.syspath_prepend(home)
    wrapped = importlib.import_module("mypkg.wrapped")
    for path in ("plain", "shout", "loud", "Words.one"):
        given = attrgetter(path)(wrapped)
        assert requirements.function("f", given) == Function("f", "mypkg.wrapped", path)
    bound = requirements.function("f", functools.partial(wrapped.plain, mark="~"), "string")
    assert bound.module == ""
    assert pickle.loads(base64.b64decode(bound.pickled))("a") == "a~"
    other = udf(wrapped.plain, IntegerType(), useArrow=False)
    typed = requirements.function("f", other.asNondeterministic())
    assert typed.module == ""
    given = pickle.loads(base64.b64decode(typed.pickled))
    assert (given.returnType, given.deterministic) == (IntegerType(), False)
    used = other.asNondeterministic()
    used.jvm = threading.Lock()  # as py4j's objects: it cannot be pickled
    again = pickle.loads(base64.b64decode(requirements.function("f", used).pickled))
    assert (again.func("a"), again.returnType, again.deterministic) == ("a?", IntegerType(), False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mypkg"]:
        del sys.modules[name]


def test_what_a_module_prints_and_what_it_annotates_disturb_no_answer(home: Path) -> None:
    """With PYTHONSAFEPATH nothing stands before PYTHONPATH in sys.path."""
    asked = [
        {"module": module, "attribute": name, "returns": returns, "pickled": ""}
        for module, name, returns in [
            ("mypkg.hints", "of_others", ""),
            ("mypkg.hints", "in_brackets", ""),
            ("mypkg.hints", "of_nobody", ""),
            ("mypkg.wrapped", "shout", ""),
        ]
    ]
    done = subprocess.run(
        [sys.executable, _describe.__file__],
        input=json.dumps(asked),
        env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    good, brackets, nobody, shout = json.loads(done.stdout)
    assert good["returns"] == {"words": "array<string>"}
    assert (brackets["why"], nobody["why"]) == ("no-return-type", "no-return-type")
    assert shout["returns"] == {"words": "string"}
    assert "a child of the module prints\n" in done.stderr


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (str, "string"),
        (int, "bigint"),
        (float, "double"),
        (bool, "boolean"),
        (bytes, "binary"),
        (decimal.Decimal, "decimal(38,18)"),
        (datetime.date, "date"),
        (datetime.datetime, "timestamp"),
        (list[str], "array<string>"),
        (dict[str, list[int]], "map<string,array<bigint>>"),
        (typing.Optional[str], "string"),  # noqa: UP045  as people write it
        (str | None, "string"),
        (tuple[int, ...], "array<bigint>"),
        (typing.Annotated[int, "x"], "bigint"),
        (list, ""),
        (dict[str, object], ""),
        (int | str, ""),
        (None, ""),
        ([str], ""),
        (typing.Callable[[int], str], ""),
    ],
)
def test_annotations_are_types_of_spark(hint: Any, said: str) -> None:
    assert _describe.of_annotation(hint) == said


# what is refused


def asked_for(captain: Captain, place: str, returns: str = "") -> BoatError:
    with pytest.raises(LaunchError) as caught:
        captain.add_function("f", place, returns=returns).order(master=MASTER, driver="jvm")
    assert f"f={place}" in caught.value.value
    return caught.value


@pytest.mark.parametrize(
    ("place", "code", "cure"),
    [
        ("mypkg.txt:tokenize", "functions.module-missing", "how it is spelt"),
        ("mypkg.broken:f", "functions.module-fails", "python -c"),
        ("mypkg.text:tokenise", "functions.function-missing", "perhaps tokenize"),
        ("mypkg.text:NUMBER", "functions.not-a-function", "another one"),
        ("mypkg.text:untyped", "functions.no-return-type", "f=mypkg.text:untyped -> string"),
        ("mypkg.text:Words", "functions.no-return-type", "f=mypkg.text:Words -> "),
    ],
)
@pytest.mark.once
def test_what_cannot_be_had_is_refused_before_spark_starts(
    captain: Captain, place: str, code: str, cure: str
) -> None:
    error = asked_for(captain, place)
    assert error.code == code
    assert cure in error.cure


def test_a_module_that_executors_would_not_have_is_refused(
    captain: Captain, interpreter_packed: Store, tmp_path: Path
) -> None:
    with_chunks_of(interpreter_packed.root, tmp_path / "store")
    (tmp_path / "beside.py").write_text("def f(): pass", "utf-8")
    with Captain(offline=True, store=tmp_path / "store") as shipping:
        shipping.add_local("mypkg")
        error = asked_for(shipping, "mypgk.text:tokenize")
        assert (error.code, error.value) == (
            "functions.module-not-sent",
            "mypgk, of f=mypgk.text:tokenize",
        )
        assert "perhaps mypkg" in error.cure
    with Captain(offline=True, store=tmp_path / "store") as shipping:
        error = asked_for(shipping, "beside:f")
        assert words.in_options(error.cure) == '--local "beside.py"'


def test_code_that_this_process_finds_by_its_working_directory_the_driver_finds_too(
    captain: Captain, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(home)
    captain.add_function("f", "mypkg.text:tokenize").order(master=MASTER, driver="jvm")


def test_functions_are_for_programs_of_the_jvm(captain: Captain, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("print(1)", "utf-8")
    captain.add_function("f", "mypkg.text:tokenize")
    for driver in ("jvm", "python"):
        with pytest.raises(LaunchError) as caught:
            captain.order(master=MASTER, driver=driver, serves_connect=True)
        assert caught.value.code == "functions.connect-server"
    for attempt in (
        lambda: captain.order(master=MASTER),
        lambda: captain.submit("job.py", master=MASTER),
        lambda: captain.submit(master=MASTER),
    ):
        with pytest.raises(LaunchError) as caught:
            attempt()
        assert caught.value.code == "functions.python-program"


@pytest.mark.parametrize(
    ("given", "main_class", "code", "cure"),
    [
        ("file:/nowhere/app.jar", "com.example.Main", "launch.jar-missing", "target/"),
        ("nowhere.jar", "com.example.Main", "launch.jar-missing", "target/"),
        ("text.jar", "com.example.Main", "launch.jar-unreadable", "build it again"),
        ("app.jar", None, "launch.main-class-unnamed", "--class com.example.Main app.jar"),
        ("app.jar", "com.exmaple.Main", "launch.main-class-missing", "perhaps com.example.Main"),
        ("app.jar", "com.example.Mian", "launch.main-class-missing", "perhaps com.example.Main"),
        ("app.jar", "org.other.Thing", "launch.main-class-missing", "unzip -l app.jar"),
    ],
)
@pytest.mark.once
def test_a_jar_and_its_main_class_are_looked_for(
    tmp_path: Path, given: str, main_class: str | None, code: str, cure: str
) -> None:
    jar(tmp_path / "app.jar", "com.example.Main")
    (tmp_path / "text.jar").write_text("no zip", "utf-8")
    with Captain() as captain, pytest.raises(LaunchError) as caught:
        captain.add_function("f", "mypkg.text:f").submit(given, main_class=main_class)
    assert caught.value.code == code
    assert cure in caught.value.cure


@pytest.mark.once
def test_a_main_class_may_be_in_another_jar_in_the_manifest_or_where_nobody_looks(
    tmp_path: Path,
) -> None:
    jar(tmp_path / "app.jar", "a.B", main="a.B")
    other = jar(tmp_path / "other.jar", "c.D")
    assert program.program("app.jar", None, {}).main_class == "a.B"
    assert program.program("app.jar", "c.D", {"spark.jars": str(other)}).main_class == "c.D"
    for conf in ({"spark.jars.packages": "g:n:1"}, {"spark.jars": "s3a://bucket/x.jar"}):
        assert program.program("app.jar", "x.Y", conf).main_class == "x.Y"
    thrift = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"
    assert not program.program("spark-internal", thrift, {}).is_file
    for elsewhere in ("https://host/app.jar", "hdfs:/apps/app.jar", "local:/opt/app.jar"):
        assert program.program(elsewhere, "x.Y", {}).main_class == "x.Y"
    assert program.program("app.jar", "x.Y", {"spark.jars": "libs/*.jar"}).main_class == "x.Y"
    assert program.program((tmp_path / "app.jar").as_uri(), None, {}).main_class == "a.B"
    with pytest.raises(LaunchError) as caught:
        program.program(f"file:{tmp_path}/app.jar", "x.Y", {})
    assert caught.value.code == "launch.main-class-missing"


def test_without_functions_spark_submit_gets_the_jar_and_its_class_as_they_are(
    captain: Captain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = fake_spark(tmp_path / "spark", f'echo "$@" > {tmp_path}/said; exit 4')
    monkeypatch.setenv("SPARK_HOME", fake.home)
    monkeypatch.setenv("JAVA_HOME", java_home(tmp_path))
    jar(tmp_path / "app.jar")
    code = captain.submit("app.jar", ["x"], master=MASTER, main_class="com.example.Main")
    assert code == 4
    assert (tmp_path / "said").read_text().split()[2:] == [
        "--class",
        "com.example.Main",
        "app.jar",
        "x",
    ]
    with pytest.raises(LaunchError) as caught:
        captain.submit("none.jar", master=MASTER)
    assert caught.value.code == "launch.jar-missing"


# what Spark is handed


def java_home(folder: Path) -> str:
    (folder / "java" / "bin").mkdir(parents=True)
    (folder / "java" / "bin" / "java").touch(mode=0o755)
    return str(folder / "java")


def settings(order: Any) -> Mapping[str, str]:
    return dict(order.conf)


def test_a_program_is_run_by_a_driver_in_python_that_has_its_jar_and_the_functions(
    captain: Captain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = f'cp "$2" {tmp_path}/conf; cp "$3" {tmp_path}/driver.py; shift 3; echo "$@"'
    fake = fake_spark(tmp_path / "spark", f"{keep} > {tmp_path}/said; exit 7")
    monkeypatch.setenv("SPARK_HOME", fake.home)
    monkeypatch.setenv("JAVA_HOME", java_home(tmp_path))
    jar(tmp_path / "app.jar", "com.example.App")
    theirs = jar(tmp_path / "theirs.jar", "com.example.Main")
    (tmp_path / "spark" / "conf" / "spark-defaults.conf").write_text(f"spark.jars {theirs}\n")
    captain.add_function("tokenize", "mypkg.text:tokenize")
    ended = captain.submit("app.jar", ["a", "b c"], master=MASTER, main_class="com.example.Main")
    assert ended == 7
    assert (tmp_path / "said").read_text() == "a b c\n"
    told = (tmp_path / "conf").read_text()
    assert f"spark.jars=app.jar,{theirs}\n" in told
    assert "spark.app.name=com.example.Main\n" in told
    driver = (tmp_path / "driver.py").read_text()
    main, functions = handed(driver)
    assert main == "com.example.Main"
    assert [(each["name"], each["kind"], each["returns"]) for each in functions] == [
        ("tokenize", "function", {"words": "array<string>"})
    ]


def handed(driver: str) -> Any:
    """What a driver calls its `main` with."""
    compile(driver, "driver.py", "exec")
    found = re.search(r"^main\(\*json\.loads\((.*)\)\)$", driver, re.MULTILINE)
    assert found is not None
    return json.loads(eval(found[1]))


def test_a_spark_that_starts_by_itself_is_told_by_settings(captain: Captain) -> None:
    captain.add_function("Tokenize", "mypkg.text:untyped")
    captain.add_function("tokenize", "mypkg.text:tokenize")  # in its place: a cell that ran again
    captain.add_function("words", "mypkg.text:Words", returns="word string, n int")
    captain.add_function("decorated", "mypkg.text:decorated")
    theirs = {"spark.sql.extensions": "a.B", "spark.jars": "/theirs.jar"}
    conf = settings(captain.order(master=MASTER, driver="jvm", conf=theirs))
    assert conf["spark.sql.extensions"] == "a.B,coffee_boat.Functions"
    assert conf["spark.jars"] == f"/theirs.jar,{ROOT}/coffee_boat/spark/coffee_boat.jar"
    assert conf["spark.sql.artifact.isolation.enabled"] == "false"
    hidden = "(?i)secret|password|token|access[.]?key|spark[.]coffee_boat[.]functions"
    assert conf["spark.redaction.regex"] == hidden, "Spark's UI shows no pickled function"
    told = [each.split(",") for each in conf["spark.coffee_boat.functions"].split()]
    assert [each[:4] for each in told] == [
        ["tokenize", "function", "100", "true"],
        ["words", "table", "300", "false"],
        ["decorated", "function", "100", "true"],
    ]
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {base64.b64decode(each[4]).decode() for each in told} == {f"python{minor}"}
    assert {each[5] for each in told} == {minor}
    types = [(each[6], base64.b64decode(each[7]).decode()) for each in told]
    assert types[:2] == [("words", "array<string>"), ("words", "word string, n int")]
    assert types[2][0] == "json"
    assert json.loads(types[2][1])["elementType"] == "string"


def test_what_people_hide_in_sparks_ui_stays_hidden(captain: Captain) -> None:
    captain.add_function("f", "mypkg.text:tokenize")
    theirs = {"spark.redaction.regex": "mine"}
    conf = settings(captain.order(master=MASTER, driver="jvm", conf=theirs))
    assert conf["spark.redaction.regex"] == "mine|spark[.]coffee_boat[.]functions"


def test_functions_travel_by_name_where_executors_can_import_their_module(
    captain: Captain, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decorator with a type in words needs Spark's parser: on executors that import fails."""
    captain.add_function("by_name", "mypkg.text:decorated")
    captain.add_function("by_value", "mypkg.worded:tokenize")
    conf = settings(captain.order(master=MASTER, driver="jvm"))
    by_name, by_value = (
        base64.b64decode(each.split(",")[8]) for each in conf["spark.coffee_boat.functions"].split()
    )
    assert b"mypkg.text" in by_name
    assert len(by_name) < 200
    (home / "mypkg" / "worded.py").unlink()
    monkeypatch.syspath_prepend(home)
    assert pickle.loads(by_name)("a b") == ["a", "b"]
    assert pickle.loads(by_value)("a b") == ["a", "b"]
    assert "mypkg.worded" not in sys.modules
    for name in [name for name in sys.modules if name.partition(".")[0] == "mypkg"]:
        del sys.modules[name]


def test_the_driver_pickles_a_function_as_it_came() -> None:
    command = _program.Pickled("f", pickle.dumps(len))
    assert pickle.loads(pickle.dumps(command)) is len
    with pytest.raises(NotImplementedError):
        command()


# the jar


@pytest.mark.once
def test_the_jar_is_of_this_source() -> None:
    """make jar makes it anew; integration/test_jvm_door.py compiles the source and compares."""
    folder = ROOT / "coffee_boat" / "spark"
    sources = sorted(folder.glob("*.java"))
    each = [f"{one.name} {hashlib.sha256(one.read_bytes()).hexdigest()}\n" for one in sources]
    digest = hashlib.sha256("".join(each).encode()).hexdigest()
    with zipfile.ZipFile(folder / "coffee_boat.jar") as made:
        names = made.namelist()
        assert f"Source-Digest: \r\n {digest}\r\n" in made.read("META-INF/MANIFEST.MF").decode()
        for name in names[1:]:
            assert made.read(name)[4:8] == b"\0\0\0\x34", "for Java 8"
    assert {"coffee_boat/Functions.class", "coffee_boat/Environment.class"} <= set(names)
    assert (folder / "coffee_boat.jar").stat().st_size < 20_000
