"""What activating the environment would do, for the executors' Python: its programs are first on
PATH; of conda packages, their variables and their scripts.

In conda's order (conda.activate._Activator.build_activate): CONDA_PREFIX and PATH, the variables of
conda-meta/state and etc/conda/env_vars.d/*.json, the scripts etc/conda/activate.d/*.sh. A variable
says that it was done: what this process starts has it all from here. What only a starting process
reads (LD_LIBRARY_PATH) comes too late for this one. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import os
import sys

DONE = "COFFEE_BOAT_ACTIVATED"
"""The variable with the environment that is activated."""
_SCRIPTS = os.path.join("etc", "conda", "activate.d")
_VARIABLES = os.path.join("etc", "conda", "env_vars.d")
_SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/sh")
_SECONDS = 60
_SOURCE = """\
_coffee_boat_tell() {
    trap - EXIT
    unset COFFEE_BOAT_SCRIPTS script
    exec "$COFFEE_BOAT_PYTHON" -I -S -c 'import json, os; print(json.dumps(dict(os.environ)))'
}
for script in "$COFFEE_BOAT_SCRIPTS"/*.sh; do
    [ -f "$script" ] || continue
    printf '%s\\n' "$script"
    trap _coffee_boat_tell EXIT
    . "$script" >&2
done
echo end
_coffee_boat_tell
"""
"""Prints the path of each script that begins, `end` after the last one, and the variables, on a
line each: also where a script ends the shell.
"""
_OF_THE_SHELL = ("_", "SHLVL", "PWD", "OLDPWD", "COFFEE_BOAT_PYTHON", "COFFEE_BOAT_SCRIPTS")


def activate(root: str) -> None:
    """Change os.environ as the environment's activation does; once for this process and all that it
    starts.

    What fails is said on stderr, and the interpreter goes on: most packages do without.

    Args:
        root: the folder of the environment, links followed.
    """
    if os.environ.get(DONE) == root:
        return
    os.environ[DONE] = root
    put_on_path(root)
    if not os.path.isdir(os.path.join(root, "conda-meta")):
        return
    os.environ["CONDA_PREFIX"] = root
    os.environ.update(_variables(root))
    if any(name.endswith(".sh") for name in _names(os.path.join(root, _SCRIPTS))):
        _run_scripts(root)


def put_on_path(root: str) -> None:
    """Put the programs of an environment first on PATH, once."""
    programs, before = os.path.join(root, "bin"), os.environ.get("PATH", os.defpath)
    if before.split(os.pathsep)[0] != programs:
        os.environ["PATH"] = os.pathsep.join(filter(None, [programs, before]))


def _variables(root: str) -> dict[str, str]:
    """Of the packages, then those that were set for the environment."""
    found: dict[str, object] = {}
    folder = os.path.join(root, _VARIABLES)
    for name in _names(folder):
        if name.endswith(".json"):
            found.update(_json(os.path.join(folder, name)))
    state = _json(os.path.join(root, "conda-meta", "state")).get("env_vars")
    found.update(state if isinstance(state, dict) else {})
    return {str(name): str(value) for name, value in found.items()}


def _run_scripts(root: str) -> None:
    import json
    import subprocess

    shell = next((path for path in _SHELLS if os.access(path, os.X_OK)), None)
    if shell is None:
        _say("activation scripts are not run: this node has no shell")
        return
    environ = {
        **os.environ,
        "COFFEE_BOAT_PYTHON": sys.executable,
        "COFFEE_BOAT_SCRIPTS": os.path.join(root, _SCRIPTS),
    }
    try:
        said, reason = (
            subprocess.run(
                [shell, "-c", _SOURCE],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=_SECONDS,
                check=False,
            ).stdout,
            "",
        )
    except subprocess.TimeoutExpired as error:
        said, reason = error.stdout or b"", f" within {_SECONDS} s"
    except OSError as error:
        said, reason = b"", f": {error}"
    lines = os.fsdecode(said).split("\n")
    after = next((json.loads(line) for line in lines if line.startswith("{")), None)
    if after is None or "end" not in lines:
        last = next((line for line in reversed(lines) if line.startswith("/")), "none")
        kept = (
            "nothing of them holds"
            if after is None
            else (
                "what was set until then holds (look for exit, or set -e and a command that failed)"
            )
        )
        _say(
            f"the activation scripts of {root} did not run to their end{reason}: the last that ran"
            f" is {last}; {kept}"
        )
    if after is not None:
        _take_over(after)


def _take_over(after: dict[str, str]) -> None:
    """Make os.environ what the shell's was."""
    for name in set(os.environ) - set(after) - set(_OF_THE_SHELL):
        if (
            name.isidentifier()
        ):  # others are no variables to a shell, and some (dash) pass them on to nobody
            del os.environ[name]
    for name, value in after.items():
        if name not in _OF_THE_SHELL and os.environ.get(name) != value:
            os.environ[name] = value


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _json(path: str) -> dict[str, object]:
    import json

    try:
        with open(path, encoding="utf-8") as stream:
            value = json.load(stream)
    except OSError:
        return {}
    except ValueError as error:
        _say(f"{path} cannot be read: {error}")
        return {}
    return value if isinstance(value, dict) else {}


def _say(line: str) -> None:
    sys.stderr.write(f"coffee_boat: {line}\n")
