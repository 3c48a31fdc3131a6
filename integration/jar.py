"""Makes coffee_boat/spark/coffee_boat.jar of the sources beside it: python -m integration.jar

javac (9 or newer) and the installed pyspark are needed. The jar lies in the repository, as a
machine that installs coffee_boat need have no javac; its manifest has the digest of the sources,
which tests/test_functions.py compares, and integration/test_jvm_door.py compiles them again."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "coffee_boat" / "spark"
JAR = FOLDER / "coffee_boat.jar"
SOURCES = sorted(FOLDER.glob("*.java"))


def classes(sources: Sequence[Path], javac: str = "javac") -> dict[str, bytes]:
    """What javac makes of them, by its name in a jar.

    Raises:
        subprocess.CalledProcessError: they cannot be compiled.
    """
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    jars = Path(spec.origin).parent / "jars"
    with tempfile.TemporaryDirectory() as folder:
        options = ["--release", "8", "-g:source,lines", "-Xlint:-options", "-proc:none"]
        words = [javac, *options, "-cp", f"{jars}/*", "-d", folder, *map(str, sources)]
        subprocess.run(words, check=True)
        made = sorted(Path(folder).rglob("*.class"))
        return {str(path.relative_to(folder)): path.read_bytes() for path in made}


def digest_of(sources: Sequence[Path]) -> str:
    """Of all of them, with their names."""
    each = [f"{one.name} {hashlib.sha256(one.read_bytes()).hexdigest()}\n" for one in sources]
    return hashlib.sha256("".join(each).encode()).hexdigest()


def write(jar: Path, content: dict[str, bytes], sources: Sequence[Path]) -> None:
    """The same bytes of the same classes, whenever it is made."""
    digest = digest_of(sources)
    # a line of a manifest has 72 bytes at most
    manifest = f"Manifest-Version: 1.0\r\nSource-Digest: \r\n {digest}\r\n\r\n"
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in {"META-INF/MANIFEST.MF": manifest.encode(), **content}.items():
            out.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    write(JAR, classes(SOURCES, *sys.argv[1:]), SOURCES)
    print(JAR, JAR.stat().st_size, "bytes")
