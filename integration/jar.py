"""Makes coffee_boat/spark/functions.jar of Functions.java: python -m integration.jar

javac (9 or newer) and the installed pyspark are needed. The jar lies in the repository, as a
machine that installs coffee_boat need have no javac; its manifest has the digest of the source,
which tests/test_functions.py compares, and integration/test_jvm_door.py compiles it again."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "coffee_boat" / "spark" / "Functions.java"
JAR = SOURCE.with_name("functions.jar")


def classes(source: Path, javac: str = "javac") -> dict[str, bytes]:
    """What javac makes of it, by its name in a jar.

    Raises:
        subprocess.CalledProcessError: it cannot be compiled.
    """
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    jars = Path(spec.origin).parent / "jars"
    with tempfile.TemporaryDirectory() as folder:
        options = ["--release", "8", "-g:source,lines", "-Xlint:-options", "-proc:none"]
        subprocess.run([javac, *options, "-cp", f"{jars}/*", "-d", folder, str(source)], check=True)
        made = sorted(Path(folder).rglob("*.class"))
        return {str(path.relative_to(folder)): path.read_bytes() for path in made}


def write(jar: Path, content: dict[str, bytes], source: Path) -> None:
    """The same bytes of the same classes, whenever it is made."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    # a line of a manifest has 72 bytes at most
    manifest = f"Manifest-Version: 1.0\r\nSource-Digest: \r\n {digest}\r\n\r\n"
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in {"META-INF/MANIFEST.MF": manifest.encode(), **content}.items():
            out.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    write(JAR, classes(SOURCE, *sys.argv[1:]), SOURCE)
    print(JAR, JAR.stat().st_size, "bytes")
