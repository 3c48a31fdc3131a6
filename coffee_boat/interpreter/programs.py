"""The two programs of an archive that has an interpreter, for those who run it outside of Spark:
`bin/activate` for a shell (and for dask-yarn, which sources it), `bin/beam-boot` for Beam.

They find the folder that they lie in: nothing in them names one.
"""

from __future__ import annotations

from collections.abc import Mapping

ACTIVATE = """\
# For bash and zsh: `source DIR/bin/activate` puts the programs of this environment first on PATH,
# `deactivate` takes them off again. In another shell: PATH="DIR/bin:$PATH"
if [ -n "${ZSH_VERSION:-}" ]; then
    eval '_boat_file="${(%):-%x}"'
else
    _boat_file="${BASH_SOURCE:-}"
fi
if [ -z "$_boat_file" ]; then
    echo 'this shell does not say where activate lies; type: PATH="DIR/bin:$PATH"' >&2
    return 1
fi
if [ -n "${_BOAT_OLD_PATH:-}" ]; then deactivate; fi
_boat_bin="$(CDPATH= cd -- "$(dirname -- "$_boat_file")" >/dev/null && pwd -P)"
_BOAT_OLD_PATH="$PATH"
PATH="$_boat_bin:$PATH"
export PATH
unset PYTHONHOME _boat_file _boat_bin
deactivate() {
    if [ -n "${_BOAT_OLD_PATH:-}" ]; then PATH="$_BOAT_OLD_PATH"; fi
    export PATH
    unset _BOAT_OLD_PATH
    unset -f deactivate
    hash -r 2>/dev/null || true
}
hash -r 2>/dev/null || true
"""
BEAM_BOOT = """\
#!/bin/sh
# What a Beam runner starts for --environment_type=PROCESS: see coffee_boat_worker/beam.py.
exec "$(dirname "$(readlink -f "$0")")/python{minor}" -m coffee_boat_worker.beam "$@"
"""


def programs(minor: str) -> Mapping[str, str]:
    """Name -> text; those that begin with `#!` are run."""
    return {"bin/activate": ACTIVATE, "bin/beam-boot": BEAM_BOOT.format(minor=minor)}
