"""Nothing that leaves us shows a secret: texts, reprs, exceptions and what they were raised from,
logs, arguments of processes, and what is kept.
"""

from __future__ import annotations

import builtins
import dataclasses
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner
from lanes import require_git

from coffee_boat import BoatError, Captain, RequirementError, model, requirements
from coffee_boat._support.exceptions import clean, guarded
from coffee_boat._support.redact import redact
from coffee_boat._support.store import Store
from coffee_boat.cli.main import boat
from coffee_boat.conda import condarc
from coffee_boat.errors import BuildError, SettingsError
from coffee_boat.model import Finding, Indexes, Lock, Pin, Plan, Report, Target, hidden
from coffee_boat.pip import pylock
from coffee_boat.session import record
from coffee_boat.settings import load
from coffee_boat.spark import install, submission
from coffee_boat.workflow import lockfile

S = "hunter2"
URL = f"https://h.example/x-1.0-py3-none-any.whl?token={S}"


@pytest.mark.parametrize(
    "text",
    [
        f"https://user:pa/{S}@host/x",
        f"https://user:{S}/{S}@host/x",
        f"https://user:1234/{S}@host/x",
        f"https://user:p@{S}/w@host/simple",
        f"https://user:{S}@{S}@host/simple",
        f"https://user:p#{S}@host/x",
        f"https://user:p?{S}@host/x",
        f"https://user:my {S}@host/x",
        f"https://user:it's{S}@host/x",
        f"https://user:{S}%40host/x",
        f"https://user%3A{S}@host/x",
        f"https%3A%2F%2Fuser%3A{S}%40host%2Fx",
        f"https://{S}@host/x",
        f"https://:{S}@host/x",
        f"https://me@corp.example:{S}@host/simple",
        f"https://me@corp.example:p/{S}@host/simple",
        f"https://user:{S}@[::1]:80/x",
        f"user:{S}@host/simple",
        f"user:{S}/x@host:8080/simple",
        f"proxy = 'user:{S}@proxy:1'",
        f"http//user:{S}@host/x",
        f"http//{S}@host/x",
        f"http:/user:{S}@host",
        f"http:/{S}@host/x",
        f"https:user:{S}@host",
        f"https;//user:{S}@host",
        f"http:///user:{S}@host/",
        rf"https:\\user:{S}@host",
        f"htps://user:{S}@host",
        f"//user:{S}@host/x",
        f"https ://user:{S}@host/x",
        f"git+ssh://user:{S}@host/x@v1",
        f"git+https://user:a@{S}/w@host.example/repo.git@v1",
        f"jdbc:mysql://u:{S}@h/db",
        f"index-url=https:/me:{S}@h",
        f"h/x.whl?token={S}",
        f"https://h/x%3Ftoken%3D{S}",
        f"https://h/x#access_token={S}",
        f"https://h/x#egg=a&token={S}",
        f"conda.anaconda.example/t/{S}/x",
        f"PGPASSWORD={S}",
        f"-Ddb.password={S}",
        f"AWS_SECRET_ACCESS_KEY={S}",
        f"aws_secret_access_key = {S}",
        f"{{'token': '{S}'}}",
        f'{{"password": "{S} {S}"}}',
        f"Authorization: Basic {S}",
        f"{{'Authorization': 'Bearer {S}'}}",
        f"machine h login me password {S}",
        f"--token {S}",
        f"https://user\uff1a{S}@host/x",
        f"https://user:{S}\uff20host/x",
        f"user\ufe55{S}\ufe6bhost/x",
        f"htps:/user:{S}@host/x",
        f"/tmp/k/htps:/user:{S}@host/x",
        f"/tmp/k/user:{S}@host/x",
        f"https:/host/t/{S}/channel",
        f"htps://host/t/{S}/channel",
        f"user:<{S}>@host/x",
        f"https://host/a.whl?{S}",
        f"https://host/a.whl?{S}&a=b",
        f"https://host/a.whl?a=b&{S}",
        f"user%3A{S}%40host",
        f"user:{S}%40host",
        f"https://user:a\t{S}@host/x",
        f"https://user:a\n{S}@host/x",
        f"https://user:{S}127.0.0.1:1",
        "ghp_" + S * 4,
        f"https.//user:{S}@host/x",
        f"/srv/k/https./user:{S}@host/x",
        f"https,//{S}@host/x",
        f"https :/user:{S}@host/x",
        f"/srv/k/https :/user:{S}@host/x",
        f"https : //user:{S}@host/x",
        f"https: //user:{S}@host/x",
        f"https:://user:{S}@host/x",
        f"https::/user:{S}@host/x",
        f"/srv/k/https::/user:{S}@host/x",
        f"https|//user:{S}@host/x",
        f"htpps.//user:{S}@host/x",
        f"https:\\/\\/user:{S}@host/x",
        f"https://user:a<{S}>@host/x",
        f"https://user:<{S}@host/x",
        f"invalid port for `--trusted-host`: `:{S}@h...`",
        f":{S}@h",
        f"https://h/x%20https:/u:{S}@h/y",
        f"https://u:p@h/x https://u:{S}@h/y/linux-64/x-1-0.conda#{'a' * 64}",
        f"a requirement names a file that is not there: '{S}@h/simple'",
        f"{S}@h.example:8080/simple",
        f"password: {S}",
        f"Bearer {S}",
        f'--header "Private-Token: {S}"',
        f"X-Api-Key: {S}",
    ],
)
def test_what_is_mistyped_or_called_secret_is_hidden(text: str) -> None:
    for said in (text, f"cannot read {text!r}, see line 3", f"({text})"):
        shown = redact(said)
        assert S not in shown
        assert redact(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "git+https://host:8443/team/repo.git@v1",
        "https://localhost:8080/x@v1",
        "git+ssh://git@github.com/team/repo.git@v1",
        "git@github.com:team/repo.git@v1",
        "k8s://https://host:6443",
        "registry.example.org/image:1.2@sha256:abc",
        "tokenizers==0.15, token-bucket>=1.0, secret==2",
        "a @ https://h/a.whl, b @ https://h/b.whl",
        "export HTTPS_PROXY=http://proxy:port if there is a proxy",
        "conda-forge::numpy",
        "/home/me/t/x/y, /srv/a:/srv/b@c",
        "write it like git+https://host/name.git@revision",
        "see https://host:443: me@x.org",
        "put user and password (or token) into ~/.netrc",
        "which one\uff1a a or b\uff1f write me\uff20home",
        "http://proxy:port, https://host:8080-8090/x, is it https://h/x? (or https://h/y?)",
        "registry.example.org/team/image:1.2@sha256:abc",
        "file:/srv/a:b, ssh://host:team/repo.git",
        "name@https://h/a.whl, name@file:///srv/a.whl, me@x.org, name @ ./a.whl, a@1.0",
        "git+https://host.example/team/repo.git@feature/x",
        "the bearer token was refused",
        "see pip's docs: https://h/x, and mine: ./a/b",
    ],
)
def test_what_only_looks_so_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "part", ["a:", "u:p@", " a:b", "x", "://a#b=c", "token_", "%3F", "https:a:b ", "'https://a:b'"]
)
def test_a_long_text_takes_little_time(part: str) -> None:
    """A quarter of a million characters, in far less than a pattern that looks back would take."""
    text = part * (250_000 // len(part))
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 10


# values


def _pin(**more: object) -> Pin:
    return Pin(
        "x", "1.0", filename="x-1.0-py3-none-any.whl", url=URL, sha256="0" * 64, direct=True, **more
    )  # type: ignore[arg-type]


def test_no_value_shows_a_token_of_a_url(tmp_path: Path) -> None:
    lock = Lock(Target("3.11.7"), (_pin(), dataclasses.replace(_pin(), name="y")))
    finding = Finding(
        "verify.odd", "odd", value=URL, cause=f"https://me:{S}@h", cure=f"http//me:{S}@h"
    )
    change = model.Change("layer", lock, model.Difference(lock.pins), why=URL)
    plan = Plan(change, (model.PlanItem(URL, "fetch"),), findings=(finding,))
    report = Report((), (), lock, "", "", 0.0, (finding,))
    manifest = requirements.pip_packages([f"x @ {URL}"], origin="test")
    arrival = model.Arrival(lock.pins, None, (), (), {}, (finding,))
    for value in (lock, plan, report, manifest, arrival, finding, change, *lock.pins):
        for said in (repr(value), str(value), getattr(value, "_repr_html_", str)()):
            assert S not in said
    assert S not in lockfile.text_of(lock)


def test_every_value_with_texts_is_redacted() -> None:
    kinds = [kind for kind in vars(model).values() if dataclasses.is_dataclass(kind)]
    free = {"Finding", "Target", "NodeFacts", "Interpreter", "Chunk"}
    assert {kind.__name__ for kind in kinds if not issubclass(kind, hidden.Redacted)} == free


@pytest.mark.parametrize("direct", [True, False])
def test_the_store_keeps_no_token_of_a_url(tmp_path: Path, direct: bool) -> None:
    store = Store(tmp_path / "store")
    pins = (
        dataclasses.replace(_pin(), direct=direct),
        Pin("y", "", kind="vcs", url=f"git+https://h/y?private={S}", commit="c" * 40, direct=True),
    )
    lock = Lock(Target("3.11.7"), pins)
    record.remember(store, "app", model.History((model.Generation("python", lock, lock),)))
    again = record.recall(store, "app", {record.LOCK: lock.digest})
    assert again is not None
    assert again.current.lock.digest == lock.digest
    assert again.current.lock.pins[0].url == URL.partition("?")[0]
    assert not [path for path in store.root.rglob("*.json") if S in path.read_text("utf-8")]
    assert S not in lockfile.text_of(lock)


# exceptions


class StrangeError(Exception):
    """Of a library that says more than it should."""


def _shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.args)


def _chained() -> None:
    try:
        try:
            raise StrangeError(f"GET https://c.example/t/{S}/linux-64: 403")
        except StrangeError as error:
            raise OSError(2, "no", f"https://me:{S}@h") from error
    except OSError as error:
        if sys.version_info >= (3, 11):
            error.add_note(f"token={S}")
        raise BuildError("build.failed", "it failed", value=f"https://me:{S}@h") from error


def _twice() -> None:
    """One exception by both links, with what it read in an attribute."""
    try:
        raise UnicodeDecodeError("utf-8", f"https://me:{S}@h".encode(), 0, 1, "bad")
    except UnicodeDecodeError as error:
        raise BuildError("build.test", "it failed") from error


def _with_attribute() -> None:
    error = StrangeError("it failed")
    error.source = f"https://me:{S}@h"  # type: ignore[attr-defined]
    raise BuildError("build.test", "it failed") from error


def _with_filename() -> None:
    try:
        Path(f"https:/me:{S}@h/x").read_bytes()
    except OSError as error:
        raise BuildError("build.test", "it failed") from error


def _in_context() -> None:
    try:
        raise StrangeError(f"https://me:{S}@h")
    except StrangeError:
        raise BuildError("build.failed", "it failed") from None


def _raw() -> None:
    raise StrangeError(f"https://me:{S}@h", 3)


@pytest.mark.parametrize(
    "failing", [_chained, _twice, _with_attribute, _with_filename, _in_context, _raw]
)
def test_nothing_that_an_exception_was_raised_from_shows_a_secret(
    failing: Callable[[], None],
) -> None:
    with pytest.raises((BoatError, StrangeError)) as caught:
        guarded(failing)()
    one: BaseException | None = caught.value
    links = 0
    while one is not None:
        for other in (one, *filter(None, (one.__cause__, one.__context__))):
            assert S not in _shown(other) + repr(vars(other)) + repr(getattr(other, "filename", ""))
        one, links = one.__cause__ or one.__context__, links + 1
    assert links == {"_chained": 3, "_raw": 1}.get(failing.__name__, 2)
    clean(caught.value)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs groups of exceptions")
def test_the_exceptions_of_a_group_show_none() -> None:
    def failing() -> None:
        raise vars(builtins)["ExceptionGroup"](
            "two", [StrangeError(f"https://me:{S}@h"), OSError(2, "x", f"a:{S}@h")]
        )

    with pytest.raises(Exception, match="two") as caught:
        guarded(failing)()
    assert S not in _shown(caught.value)


@pytest.mark.parametrize("text", ["API_KEY=" + S, rf"https:\\u:{S}@h", f"https;//u:{S}@h"])
def test_what_packaging_said_first_shows_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(RequirementError) as caught:
        Captain(store=tmp_path / "s").add_pip_packages(text)
    waiting: list[BaseException] = [caught.value]
    while waiting:
        one = waiting.pop()
        assert S not in _shown(one) + repr(vars(one))
        waiting += filter(None, (one.__cause__, one.__context__))


def test_what_a_captain_raises_in_a_program_shows_none(tmp_path: Path) -> None:
    """The last lines of a script that fails, with all that stands above them."""
    wheel = "x-1.0-py3-none-any.whl"
    program = (
        "import coffee_boat, sys\n"
        f"captain = coffee_boat.Captain(store={str(tmp_path / 's')!r})\n"
        "captain.add_pip_packages(sys.stdin.readline().strip())\n"
    )
    for text in (
        f"x @ https://me:{S}@h.example/{wheel[:-4]}",
        f"https:/me:{S}@h.example/{wheel}",
        f"x @ http//me:{S}@h.example/{wheel}",
        f"me:{S}@h.example/{wheel}",
        f"x === https://me:pa/{S}@h ; python_version",
        f"git+https://h.example/x.git?private_token={S}",
    ):
        done = subprocess.run(
            [sys.executable, "-c", program],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert "RequirementError" in done.stderr, text
        assert S not in done.stdout + done.stderr


TYPED = (
    f"https://u:{S}/x@h/a.whl",
    f"https://u:{S}#@h/a.whl",
    f"https://u:a?{S}@h/a.whl",
    f"https://u\uff1a{S}@h/a.whl",
    f"https://u:{S}\uff20h/a.whl",
    f"https://u:[{S}@h/a.whl",
    f"https://u:]{S}@h/a.whl",
    f"https://u:a {S}@h/a.whl",
    f"https://u:a\t{S}@h/a.whl",
    f"https://u:{S}127.0.0.1:1",
    f"https://h/a.whl?{S}",
    f"https://h/t/{S}/a.whl",
    f"htps:/u:{S}@h/a.whl",
    f"htps://u:{S}@h/a.whl",
    f"u:{S}@h/x",
    f"u:<{S}>@h/x",
    f"u:{S}%40h",
    f"u%3A{S}%40h",
    f"https.//u:{S}@h/x",
    f"https ://u:{S}@h/x",
    f"https:://u:{S}@h/x",
    f"https://user:a<{S}>@h/x",
    f"jdbc:x://u:{S}@h",
    f"{S}@h/simple",
)


def _listed(captain: Captain, name: str, text: str) -> None:
    Path(name).write_text(text, "utf-8")
    (captain.add_lock if name == "pylock.toml" else captain.add_requirements)(name)


def _locked(kind: str, url: str) -> str:
    more = {
        "wheels": f'hashes = {{sha256 = "{"0" * 64}"}}\nname = "a-1.0-py3-none-any.whl"',
        "archive": f'hashes = {{sha256 = "{"0" * 64}"}}',
        "vcs": f'type = "git"\ncommit-id = "{"c" * 40}"',
    }[kind]
    head = f"[[packages.{kind}]]" if kind == "wheels" else f"[packages.{kind}]"
    return (
        'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "a"\nversion = "1.0"\n'
        f"{head}\nurl = {json.dumps(url, ensure_ascii=False)}\n{more}\n"
    )


DOORS: dict[str, Callable[[Captain, str], object]] = {
    "pip": lambda captain, url: captain.add_pip_packages(url),
    "pip, named": lambda captain, url: captain.add_pip_packages(f"a @ {url}"),
    "conda": lambda captain, url: captain.add_conda_packages(url),
    "channel": lambda captain, url: captain.add_conda_packages("a", channel=url),
    "tie": lambda captain, url: captain.add_conda_packages(f"{url}::a"),
    "requirements": lambda captain, url: captain.add_requirements(url),
    "lock": lambda captain, url: captain.add_lock(url),
    "environment.yml": lambda captain, url: captain.add_environment(url),
    "environment": lambda captain, url: Captain.from_environment(url),
    "python": lambda captain, url: Captain(store="store", python=url),
    "index": lambda captain, url: Captain(store="store", index_url=url),
    "links": lambda captain, url: Captain(store="store", find_links=[url]),
    **{
        f"file, {option}": lambda captain, url, option=option: _listed(
            captain, "r.txt", f"{option} {url}\n"
        )
        for option in ("", "a @", "-e", "-r", "-c", "--index-url", "--find-links")
    },
    **{
        f"lock, {kind}": lambda captain, url, kind=kind: _listed(
            captain, "pylock.toml", _locked(kind, f"git+{url}" if kind == "vcs" else url)
        )
        for kind in ("wheels", "archive", "vcs")
    },
}


@pytest.mark.parametrize("door", DOORS)
def test_no_door_shows_what_was_mistyped(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDARC", os.devnull)
    monkeypatch.chdir(tmp_path)
    captain = Captain(store=tmp_path / "store")
    for url in TYPED:
        said = ""
        try:
            DOORS[door](captain, url)
        except BoatError as error:
            one: BaseException | None = error
            while one is not None:
                said += _shown(one)
                one = one.__cause__ or one.__context__
        assert S not in said + repr(captain) + repr(captain.manifest), url


def test_clicks_own_messages_show_none() -> None:
    url = f"https://me:{S}@h"
    for words in (
        ["plan", "--master", "local", url],
        [url],
        [f"--index={url}"],
        ["check", "--conf", url],
    ):
        done = CliRunner().invoke(boat, words)
        assert done.exit_code == 2
        assert S not in done.output


# files that are not what they were taken for


def test_a_processs_environment_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("environ", "cmdline"):
        with pytest.raises(RequirementError, match="not text") as caught:
            requirements.read(Path(f"/proc/self/{name}"))
        assert len(str(caught.value)) < 250
        assert os.environ["PATH"] not in _shown(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        f"machine h login me password {S}\n",
        f"[default]\naws_secret_access_key = {S}\n",
        f"DB_PASSWORD={S}\n",
        "A" * 90 + f" {S}\n",
        f"dependencies: [\n  {S}{S}{S}{S}: 'x\n",
        f"<xml>{'-' * 80}{S}</xml>\n",
    ],
)
def test_little_is_quoted_of_a_file(tmp_path: Path, content: str) -> None:
    readers: dict[str, Callable[[Path], object]] = {
        "requirements.txt": requirements.read,
        "environment.yml": requirements.read_environment,
        "pyproject.toml": requirements.read,
        "pylock.toml": lambda path: pylock.read(path, Target("3.11.7")),
        ".condarc": lambda path: condarc.load({"CONDARC": str(path)}),
        "pip.conf": lambda path: load({}, folder=tmp_path, environ={"PIP_CONFIG_FILE": str(path)}),
    }
    refused = 0
    for name, read in readers.items():
        path = tmp_path / name
        path.write_text(content, "utf-8")
        shown = ""
        try:
            guarded(read)(path)
        except BoatError as error:
            shown = _shown(error)
        assert S not in shown, name
        refused += bool(shown)
        path.unlink()
    assert refused >= 4


def test_a_submission_shows_no_secret_of_the_users_settings(tmp_path: Path) -> None:
    conf = {
        "spark.archives": f"https://user:{S}@h/a.zip,https://h/t/{S}/b.zip",
        "spark.jars": f"https://h/x.jar?token={S}",
        "spark.my.password": S,
    }
    spark = install.Spark("4.0.0", str(tmp_path))
    facts = model.SparkFacts("4.0.0", "spark://h:7077", conf=conf, python="python")
    order = submission.order(spark, facts, model.ConfPatch("python", conf=conf))
    assert S not in repr(order)
    assert "spark.archives" in repr(order)
    assert order.complete["spark.jars"].endswith(S)


# requests


@pytest.fixture
def server() -> Iterator[str]:
    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    Thread(target=httpd.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        httpd.server_close()


def test_libraries_log_no_secret_of_our_requests(server: str, tmp_path: Path) -> None:
    from coffee_boat.pip.download import Downloads

    log = io.StringIO()
    handler, root = logging.StreamHandler(log), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        downloads = Downloads(Indexes(), [f"http://me:{S}@127.0.0.1"])
        with pytest.raises(BuildError) as caught:
            downloads.fetch(f"{server}/x.whl?token={S}", tmp_path / "x", sha256="0" * 64)
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    assert "GET /x.whl?token=***" in log.getvalue()
    assert S not in log.getvalue() + _shown(caught.value)


def test_a_conda_token_is_in_no_link_of_the_chain(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDARC", os.devnull)
    captain = Captain(store=tmp_path / "store")
    captain.add_conda_packages("zlib", channel=f"{server}/t/{S}/channel")
    with pytest.raises(BoatError, match="refused the credentials") as caught:
        captain.plan()
    one: BaseException | None = caught.value
    while one is not None:
        assert S not in _shown(one)
        one = one.__cause__ or one.__context__


@pytest.mark.parametrize("scheme", ["git+ssh", "git+https"])
def test_git_gets_no_password_as_an_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """uv starts it; the process list shows how."""
    require_git()
    log, git = tmp_path / "log", tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\n[ "$1" = fetch ] && exit 1\n'
        f'exec {shutil.which("git")} "$@"\n',
        "utf-8",
    )
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}:{os.environ['PATH']}")
    captain = Captain(store=tmp_path / "store")
    captain.add_pip_packages(f"x @ {scheme}://me:{S}@h.example/x.git")
    with pytest.raises(BoatError) as caught:
        captain.plan()
    assert "h.example/x.git" in log.read_text("utf-8")
    assert S not in log.read_text("utf-8") + _shown(caught.value)


def test_json_shows_none() -> None:
    from coffee_boat.cli.render import to_json

    lock = Lock(Target("3.11.7"), (_pin(),))
    told = to_json(
        Plan(
            model.Change("launch", lock),
            (),
            findings=(Finding("verify.x", "x", value=f"user:{S}@h"),),
        )
    )
    assert S not in told
    assert json.loads(told)["lock"]["pins"][0]["url"].endswith("?token=***")


def test_a_captains_settings_show_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for wrong in (f"me:{S}@h/simple", f"http//me:{S}@h", f"https:/me:{S}@h", f"http:/{S}@h"):
        with pytest.raises(SettingsError) as caught:
            Captain(index_url=wrong)
        assert S not in _shown(caught.value)
