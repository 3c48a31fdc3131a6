"""Tiny real wheels, source distributions, folders and a loopback index, for the tests of lock and
wheels.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# a whole PEP 517 backend, so that building needs nothing from an index
BACKEND = """
import base64, hashlib, pathlib, zipfile
NAME, VERSION, TAG, REQUIRES = {name!r}, {version!r}, {tag!r}, {requires!r}
def _files():
    info = NAME + "-" + VERSION + ".dist-info/"
    yield NAME + ".py", pathlib.Path("body.txt").read_text() if pathlib.Path("body.txt").exists() else ""
    yield info + "METADATA", "Metadata-Version: 2.1\\nName: " + NAME + "\\nVersion: " + VERSION + "\\n" + "".join("Requires-Dist: " + r + "\\n" for r in REQUIRES)
    yield info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: " + TAG + "\\n"
def _record(files):
    rows = [(path, base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode(), len(text.encode())) for path, text in files]
    return "".join("%s,sha256=%s,%d\\n" % row for row in rows) + NAME + "-" + VERSION + ".dist-info/RECORD,,\\n"
def build_wheel(folder, config_settings=None, metadata_directory=None):
    pathlib.Path("litter.egg-info").mkdir(exist_ok=True)
    pathlib.Path("litter.txt").write_text("left by the build")
    name = NAME + "-" + VERSION + "-" + TAG + ".whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as archive:
        files = list(_files())
        for path, text in [*files, (NAME + "-" + VERSION + ".dist-info/RECORD", _record(files))]:
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    return name
"""  # noqa: E501


def wheel(
    folder: Path,
    name: str,
    version: str,
    requires: Sequence[str] = (),
    *,
    tag: str = "py3-none-any",
    python: str = "",
    extras: Sequence[str] = (),
    module: str = "",
) -> Path:
    """A wheel with one module, by default of its own name."""
    stem = f"{name.replace('-', '_')}-{version}"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
        *(f"Provides-Extra: {e}" for e in extras),
    ]
    lines += [f"Requires-Python: {python}"] if python else []
    files = {
        f"{module or name.replace('-', '_')}.py": f"VERSION = {version!r}\n",
        f"{stem}.dist-info/METADATA": "\n".join(lines) + "\n",
        f"{stem}.dist-info/WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n"
        ),
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}\n"
        for path, text in files.items()
    )
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{stem}-{tag}.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in {
            **files,
            f"{stem}.dist-info/RECORD": f"{record}{stem}.dist-info/RECORD,,\n",
        }.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), text)
    return folder / f"{stem}-{tag}.whl"


def project(
    folder: Path,
    name: str,
    version: str,
    requires: Sequence[str] = (),
    *,
    tag: str = "py3-none-any",
    static: bool = True,
) -> Path:
    """A folder with a pyproject.toml and a build backend of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    table = (
        f'\n[project]\nname = "{name}"\nversion = "{version}"\ndependencies = {list(requires)!r}\n'
        if static
        else ""
    )
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n{table}'
    )
    (folder / "backend.py").write_text(
        BACKEND.format(name=name, version=version, tag=tag, requires=list(requires))
    )
    return folder


def sdist(folder: Path, made_of: Path, name: str, version: str) -> Path:
    """A source distribution of a project folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for file in sorted(made_of.iterdir()):
            tar.add(file, f"{name}-{version}/{file.name}")
        about = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n".encode()
        member = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
        member.size = len(about)
        tar.addfile(member, io.BytesIO(about))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


class Index(ThreadingHTTPServer):
    """A package index on the loopback: /simple/<name>/ and /files/<filename>."""

    def __init__(self, folder: Path, login: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.login = login
        self.asked: list[str] = []
        self.cut_off: set[str] = set()
        """Paths of which half is sent, once."""
        self.halfway: dict[str, Callable[[], object]] = {}
        """Path -> what is done when half of it is sent."""
        self.busy: dict[str, list[tuple[int, str]]] = {}
        """Path -> answers without a file that come first: status, Retry-After."""
        self.ranges: list[str] = []
        """What was asked for of files of which half was sent. Their version is their sha256."""
        self.replaced: dict[str, bytes] = {}
        self.before: dict[str, Callable[[], object]] = {}
        """Path -> what is done before it is answered; of files only where uv does not ask for their
        metadata.
        """

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/simple"

    @contextmanager
    def holding(self, path: str) -> Iterator[None]:
        """Who asks for it within the block waits for its end."""
        over = threading.Event()
        self.before[path] = over.wait
        try:
            yield
        finally:
            del self.before[path]
            over.set()


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        wanted = "Basic " + base64.b64encode(self.server.login.encode()).decode()
        if self.server.login and self.headers.get("Authorization") != wanted:
            return self._send(b"", 401)
        kind, _, name = self.path.strip("/").partition("/")
        if self.path in self.server.before and (
            kind == "simple" or not self.headers.get("User-Agent", "").startswith("uv/")
        ):
            self.server.before[self.path]()
        if self.server.busy.get(self.path):
            status, after = self.server.busy[self.path].pop(0)
            return self._send(b"", status, headers={"Retry-After": after} if after else {})
        if kind == "simple":
            found = [
                path.name
                for path in sorted(self.server.folder.iterdir())
                if path.name.startswith((f"{name}-", f"{name.replace('-', '_')}-"))
            ]
            links = "".join(
                f'<a href="/files/{file}#sha256={sha256(self.server.folder / file)}">{file}</a>'
                for file in found
            )
            return self._send(links.encode(), 200 if found else 404, "text/html")
        if not (self.server.folder / name).is_file():
            return self._send(b"", 404)
        return self._send_file(
            self.server.replaced.get(name, (self.server.folder / name).read_bytes())
        )

    def _send_file(self, body: bytes) -> None:
        tag = f'"{hashlib.sha256(body).hexdigest()}"'
        wanted = self.headers.get("Range", "")
        if wanted:
            self.server.ranges.append(wanted)
        if not wanted or self.headers.get("If-Range") != tag:
            return self._send(body, 200, headers={"ETag": tag})
        first = int(wanted.removeprefix("bytes=").rstrip("-"))
        if first >= len(body):
            return self._send(b"", 416)
        span = f"bytes {first}-{len(body) - 1}/{len(body)}"
        return self._send(body[first:], 206, headers={"ETag": tag, "Content-Range": span})

    do_HEAD = do_GET  # noqa: N815

    def _send(
        self,
        body: bytes,
        status: int,
        kind: str = "application/octet-stream",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path in self.server.cut_off:
            self.server.cut_off.discard(self.path)
            body = body[: len(body) // 2]
        if self.command == "HEAD":
            return
        half = len(body) // 2 if self.path in self.server.halfway else 0
        if half:
            self.wfile.write(body[:half])
            self.wfile.flush()
            self.server.halfway[self.path]()
        self.wfile.write(body[half:])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path, login: str = "") -> Iterator[Index]:
    """An index on a free port; gone when the block ends."""
    index = Index(folder, login)
    thread = threading.Thread(target=index.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield index
    finally:
        index.shutdown()
        thread.join()
        index.server_close()
