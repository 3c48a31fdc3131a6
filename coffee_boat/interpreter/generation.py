"""The archive of a generation: some kB that tell executors what its environment is composed of."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from coffee_boat._support.store import Store
from coffee_boat.archive import chunks
from coffee_boat.archive.assemble import assemble
from coffee_boat.archive.writer import ChunkWriter
from coffee_boat.interpreter.worker_files import IMPORT_NAME
from coffee_boat.model import Archive, Lock
from coffee_boat.worker import compose

_LAUNCHER = """\
#!/bin/sh
here=$(dirname -- "$0")/..
for base in "$here/.."/{base} {base}; do
    [ -f "$base/{site}{package}/become.py" ] && break
done
python=$base/bin/python{minor}
[ -x "$python" ] || python=${{{node_python}:-python{minor}}}
exec "$python" -I -S -c '{start}' "$base/{site}" "$here" "$@"
"""
"""$0 is the path that was started, absolute or relative to the working directory."""

_START = (
    f"import sys; sys.path.append(sys.argv[1]); import {IMPORT_NAME}.become as it;"
    " it.main(sys.argv[2:])"
)


@dataclass(frozen=True)
class Composition:
    """What the environment of a generation is composed of, as executors have it."""

    base: str
    """A folder: an absolute path, or a name."""
    layers: tuple[str, ...] = ()
    without: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Folder -> the files in it that do not count, sorted."""
    known: tuple[str, ...] = field(default=(), compare=False)
    """Names of all layers that were sent before, sorted."""

    @property
    def is_base(self) -> bool:
        """True where the base runs as it was sent."""
        return not self.layers and not self.without


def build(
    composition: Composition,
    lock: Lock,
    *,
    has_python: bool,
    inputs: Sequence[str],
    store: Store,
) -> Archive:
    """The archive of a generation; the same for the same content.

    Args:
        lock: what its environment has.
        has_python: False where the nodes' own interpreter runs.
        inputs: what was asked for, by names.

    Raises:
        StoreError: the store cannot be written.
    """
    minor = lock.target.minor
    spec = compose.Spec(
        python=minor,
        has_python=has_python,
        base=composition.base,
        layers=composition.layers,
        without=dict(composition.without),
        known=composition.known,
    )
    text = json.dumps(spec._asdict(), sort_keys=True).encode("ascii") + b"\n"
    launcher = _LAUNCHER.format(
        base=shlex.quote(composition.base),
        minor=minor,
        node_python=compose.NODE_PYTHON,
        site=lock.target.site_packages,
        package=IMPORT_NAME,
        start=_START,
    ).encode()

    def fill(writer: ChunkWriter) -> None:
        writer.file(f"bin/python{minor}", launcher, executable=True)
        writer.file(compose.SPEC, text)

    chunk = chunks.make(store, ["generation", text.decode(), launcher.decode()], "generation", fill)
    made = assemble(
        [chunk],
        target=lock.target,
        lock=lock,
        has_python=has_python,
        inputs={"requirements": sorted(inputs)},
        store=store,
    )
    return replace(made, role="generation")
