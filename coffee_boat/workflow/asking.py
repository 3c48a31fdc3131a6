"""What a captain is asked for, in the forms that people write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from coffee_boat import requirements
from coffee_boat._support.exceptions import door
from coffee_boat.model import Manifest
from coffee_boat.spark import jvm
from coffee_boat.workflow.changing import Changing

Asked = TypeVar("Asked", bound="Asking")


@partial(door, explain=jvm.explain)
class Asking:
    """Who is asked for packages."""

    def __init__(self, work: Changing) -> None:
        self._work = work

    def add_pip_packages(
        self: Asked, *packages: str, wait: float = 10.0, allow_changes: bool = False
    ) -> Asked:
        """Ask for packages: PEP 508 strings, wheels, source archives, folders with a
        pyproject.toml, VCS URLs.

        Before Spark starts: read at once, resolved by `plan` or `launch_ship`. While a session
        runs: sent at once, and from then on each task on each executor has them before it starts,
        also functions that were made before, and executors that join later. Installed versions
        stay, unless changes are allowed. `report` tells how it went. All packages are taken, or
        none.

        Args:
            wait: seconds to wait for executors to confirm, while a session runs.
            allow_changes: while a session runs, what is installed may get another version where
                it has to: as `upgrade_pip_packages`.

        Raises:
            RequirementError: one of them cannot be read.
            LockError, BuildError: while a session runs: they cannot be had, or an installed
                version would have to change.
        """
        return self.add_manifest(
            requirements.pip_packages(packages, origin="add_pip_packages"),
            wait=wait,
            allow_changes=allow_changes,
        )

    def add_requirements(
        self: Asked,
        path: str | Path,
        *,
        extras: Sequence[str] = (),
        groups: Sequence[str] = (),
        wait: float = 10.0,
        allow_changes: bool = False,
    ) -> Asked:
        """Ask for what a requirements.txt or a pyproject.toml lists; before Spark starts or while a
        session runs.

        Args:
            path: the file; -r and -c in it are followed.
            extras: optional dependencies of a pyproject.toml to take as well.
            groups: dependency groups (PEP 735) of a pyproject.toml to take as well.
            wait: as for `add_pip_packages`.
            allow_changes: the same.

        Raises:
            RequirementError: the file or a line of it cannot be read.
            LockError, BuildError: as for `add_pip_packages`.
        """
        return self.add_manifest(
            requirements.read(Path(path), extras=extras, groups=groups),
            wait=wait,
            allow_changes=allow_changes,
        )

    def add_conda_packages(
        self: Asked,
        *specs: str,
        channel: str | Sequence[str] | None = None,
        wait: float = 10.0,
        allow_changes: bool = False,
    ) -> Asked:
        """Ask for conda packages, in conda's words: "numpy >=2", "python=3.11",
        "conda-forge::scipy". No conda is needed here or there.

        Conda's python is then the environment's interpreter; packages of pip go on top of what
        conda has. Before Spark starts or while a session runs, as `add_pip_packages`. Needs the
        extra `conda`: pip install py-rattler conda-pack.

        Args:
            channel: the one that these packages must come from, a name or a URL; or several, in the
                order they are asked. With any named here or in an environment file, no others are
                asked; by default those of .condarc, else conda-forge.
            wait: as for `add_pip_packages`.
            allow_changes: the same.

        Raises:
            RequirementError: one of them cannot be read, or lies in a channel of Anaconda's whose
                terms were not accepted.
            LockError, BuildError: as for `add_pip_packages`.
        """
        return self.add_manifest(
            requirements.conda_packages(specs, origin="add_conda_packages", channel=channel),
            wait=wait,
            allow_changes=allow_changes,
        )

    def add_environment(
        self: Asked,
        path: str | Path,
        *,
        channels: Sequence[str] | None = None,
        wait: float = 10.0,
        allow_changes: bool = False,
    ) -> Asked:
        """Ask for what an environment.yml lists: its channels, its packages, and those of its
        `pip:` list.

        Args:
            channels: in place of those in the file: exported files nearly always list Anaconda's
                `defaults`.
            wait: as for `add_pip_packages`.
            allow_changes: the same.

        Raises:
            RequirementError: the file or a line of it cannot be read, or a channel is Anaconda's
                and its terms were not accepted.
            LockError, BuildError: as for `add_pip_packages`.
        """
        return self.add_manifest(
            requirements.read_environment(path, channels=channels),
            wait=wait,
            allow_changes=allow_changes,
        )

    def add_local(self: Asked, *places: str | Path, wait: float = 10.0) -> Asked:
        """Ask for code of your own: `"helpers.py"`, the folder of a package (`"src/mypkg"`), a
        folder of modules (`"."`), or a project with a build step, which is built.

        Sent as it lies there, by itself: unchanged code is not sent again; edited code is, by
        `refresh`, or when it is asked for again. What `.gitignore` names
        stays behind, and so do hidden files, caches, environments, and data that is in no package.
        On the driver the folder itself is imported.

        Args:
            wait: as for `add_pip_packages`.

        Raises:
            RequirementError: it is not there, cannot be imported, has more than 100 MB, or has a
                link that leads out of it.
            LockError, BuildError: as for `add_pip_packages`; or a package has its name already.
        """
        return self.add_manifest(requirements.own_code(places, origin="add_local"), wait=wait)

    def add_function(
        self: Asked, name: str, function: str | Callable[..., Any], *, returns: str = ""
    ) -> Asked:
        """Ask for a Python function that is called by a name of SQL: in
        `spark.sql("SELECT tokenize(text) ...")`, `call_udf("tokenize", ...)`, a `SQLTransformer`.

        The session that runs has it at once, one that `launch_ship` completes when
        `SparkSession.builder` gives it; so has a program of the JVM, by `submit` with a jar and by
        `order(driver="jvm")`.

            captain.add_function("tokenize", "mypkg.text:tokenize", returns="array<string>")

        Plain functions, what `udf`, `pandas_udf` and `udtf` make of them, and classes with `eval`,
        which are table functions.

        Args:
            name: in SQL. A function that was asked for under the same name is replaced.
            function: "module:function", of a package that was asked for or of code of your own
                (`add_local`); or the function itself.
            returns: the return type in Spark's words. Default: what its decorator or its
                annotation says.

        Raises:
            RequirementError: it cannot be read, or cannot go to another process.
            LaunchError: a session runs that cannot have it: executors do not have the module, it
                cannot be imported, it has no return type, or Spark does not take that.
        """
        self._work.add_function(requirements.function(name, function, returns))
        return self

    def refresh(self: Asked, *, wait: float = 0.0, keep_rollback: bool = False) -> Asked:
        """Read code of your own again, and have the running session run what was edited: what
        `add_local` sent, and folders of projects.

        Functions that were made before run with it from their next job on, in new Python workers.
        Nothing is resolved, and what is unchanged is not sent. The driver goes on with what it has
        imported. While no session runs there is nothing to do: code is read when one starts.

        Args:
            wait: seconds to wait for executors to say that they have it; they get it with their
                next task in any case.
            keep_rollback: leave code that lies there as it did at the last `rollback`: that went
                back from it. It is sent once it is edited again.

        Raises:
            RequirementError: code is gone, or cannot be sent.
            LockError, BuildError: a project cannot be built, or needs more packages by now.
            ShipError: it cannot be sent. The session has what it had before.
        """
        self._work.refresh(wait, keep_rollback=keep_rollback)
        return self

    def add_manifest(
        self: Asked, manifest: Manifest, *, wait: float = 10.0, allow_changes: bool = False
    ) -> Asked:
        """Ask for all that a manifest wants, as another captain's `manifest`, at once: before Spark
        starts or while a session runs.

        Args:
            wait: as for `add_pip_packages`.
            allow_changes: the same.

        Raises:
            RequirementError: it contradicts what was asked for before.
            LockError, BuildError: as for `add_pip_packages`.
        """
        if manifest != Manifest():
            self._work.add(manifest, wait, allow_changes=allow_changes)
        return self

    def add_lock(self: Asked, path: str | Path) -> Asked:
        """Take a lock as it is: a pylock.toml (PEP 751), a pixi.lock, or an @EXPLICIT list of
        conda. Nothing is resolved.

        Raises:
            LockError: the file is none of them, or holds nothing for the executors' platform.
            RequirementError: packages were asked for already, or one in it is Anaconda's and its
                terms were not accepted.
            LaunchError: a session already runs with this captain's environment.
        """
        self._work.take_lock_file(Path(path))
        return self

    def forget(self: Asked, *names: str) -> Asked:
        """Take back packages that were asked for; for sessions that start later. What needs them
        may bring them all the same.

        Args:
            names: of packages. What was asked for by its place (a git URL, a folder) is also taken
                back by that, as it was written: its name may be known to its build only.

        Raises:
            RequirementError: one was not asked for.
            LaunchError: a session already runs with this captain's environment.
        """
        self._work.forget(names)
        return self

    def preload(self: Asked, *modules: str) -> Asked:
        """Import modules on each executor before Python workers are forked, so that every worker
        has them at once; for sessions that start later.

        Takes time and memory once an executor, where each worker would spend the time again. What
        cannot be imported there is said in the executor's stderr, and named here if no package has
        it. Some libraries do not survive a fork: those known for it are named.

        Args:
            modules: as in an import statement: "pandas", "sklearn.ensemble".

        Raises:
            SettingsError: one is not the name of a module.
            LaunchError: a session already runs with this captain's environment.
        """
        self._work.preload(modules)
        return self

    @property
    def manifest(self) -> Manifest:
        """What was asked for so far, canonical."""
        return self._work.request.manifest
