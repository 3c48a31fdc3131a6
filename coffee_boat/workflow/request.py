"""What is asked for, as one frozen value: each change makes a new one, or is refused."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coffee_boat import requirements
from coffee_boat.errors import LaunchError, RequirementError, SettingsError
from coffee_boat.model import Lock, Manifest
from coffee_boat.workflow import own_code


@dataclass(frozen=True)
class LockFile:
    """A lock that is taken as it is, and the file that it came from."""

    path: Path
    lock: Lock


@dataclass(frozen=True)
class Request:
    """What a captain was asked for: packages, or a lock file; and modules to preload."""

    manifests: tuple[Manifest, ...] = ()
    """One for each time that something was asked for."""
    lock_file: LockFile | None = None
    preload: tuple[str, ...] = ()
    """Modules, in the order in which they are imported."""
    condas_python: bool = False
    """True if the interpreter is to be conda's, whatever else is asked for."""

    @functools.cached_property
    def manifest(self) -> Manifest:
        """All of it, canonical.

        Raises:
            RequirementError: two of them contradict each other.
        """
        merged = requirements.merge(self.manifests)
        if (
            not self.condas_python
            or self.lock_file
            or any(r.name == "python" for r in merged.conda)
        ):
            return merged
        python = requirements.conda_packages(["python"], origin='python="conda"')
        return requirements.merge([*self.manifests, python])

    @property
    def names_packages(self) -> bool:
        """True if packages are asked for, beside those of a lock file."""
        return has_packages(self.manifest)

    def same_packages(self, other: Request) -> bool:
        """True if an environment of the other one is one of this one."""
        return (self.manifests, self.lock_file) == (other.manifests, other.lock_file)

    def and_manifest(
        self, manifest: Manifest, *, replacing: bool = False, running: bool = False
    ) -> Request:
        """With what a manifest asks for besides; in a running session on top of a lock file, too.

        Args:
            replacing: it counts in place of what was asked for under the same names.
            running: for a session that runs, and may change.

        Raises:
            RequirementError: it contradicts what was asked for.
        """
        if manifest == Manifest():
            return self
        before = self._without_names_of(manifest) if replacing else self.manifests
        made = replace(self, manifests=(*before, manifest))
        try:
            _ = made.manifest  # what contradicts itself in the text is refused here
        except RequirementError as error:
            named = ", ".join(f'"{r.text}"' for r in manifest.requirements if r.name)
            if running and named:
                instead = f"captain.upgrade_pip_packages({named}) takes it in place of the other"
                error.problem = replace(error.problem, cure=f"{error.cure}; or {instead}")
            raise
        return made

    def asked(self, manifest: Manifest, *, running: bool, allow_changes: bool) -> Request:
        """The same, as a captain is asked.

        Raises:
            RequirementError: it contradicts what was asked for.
        """
        if allow_changes:
            return self.with_changes(manifest)
        return self.and_manifest(manifest, running=running)

    def with_changes(self, manifest: Manifest) -> Request:
        """The same where it may count in place of what was asked for before.

        Raises:
            RequirementError: it contradicts itself.
        """
        try:
            return self.and_manifest(manifest)
        except RequirementError:
            return self.and_manifest(manifest, replacing=True)

    def _without_names_of(self, manifest: Manifest) -> tuple[Manifest, ...]:
        pip = {r.name for r in manifest.requirements} - {""}
        conda = {r.name for r in manifest.conda}
        return tuple(
            replace(
                part,
                requirements=tuple(r for r in part.requirements if r.name not in pip),
                conda=tuple(r for r in part.conda if r.name not in conda),
            )
            for part in self.manifests
        )

    def with_manifest(self, manifest: Manifest) -> Request:
        """With what a manifest asks for besides, for a session that starts; beside a lock file,
        code of one's own.

        Raises:
            RequirementError: it contradicts what was asked for, or a lock file is taken as it is.
        """
        made = self.and_manifest(manifest)
        if self.lock_file is not None and has_packages(own_code.apart(manifest)[0]):
            raise _besides_a_lock(self.lock_file.path)
        return made

    def installed(self, lock: Lock) -> Request:
        """As it is once a running session has a lock with all of it: a lock file's, too."""
        if self.lock_file is None:
            return self
        return replace(self, lock_file=replace(self.lock_file, lock=lock))

    def with_lock_file(self, file: LockFile) -> Request:
        """With a lock file in place of an earlier one.

        Raises:
            RequirementError: packages were asked for.
        """
        self.refuse_packages(file.path)
        return replace(self, lock_file=file)

    def refuse_packages(self, path: Path) -> None:
        """Raise if packages are asked for beside a lock file.

        Raises:
            RequirementError: they are.
        """
        if has_packages(own_code.apart(requirements.merge(self.manifests))[0]):
            raise _besides_a_lock(path)

    def without(self, names: Sequence[str], known: Mapping[str, str]) -> Request:
        """Without packages that were asked for.

        Args:
            names: as `Captain.forget` takes them.
            known: names that only builds tell, by the place that was asked for.

        Raises:
            RequirementError: one was not asked for.
        """
        return replace(
            self, manifests=tuple(requirements.without(self.manifests, names, known=known))
        )

    def preloading(self, modules: Sequence[str]) -> Request:
        """With more modules to preload.

        Raises:
            SettingsError: one is not the name of a module.
        """
        wrong = [
            module
            for module in modules
            if not all(part.isidentifier() for part in module.split("."))
        ]
        if wrong:
            raise SettingsError(
                "settings.not-a-module-name",
                "not the name of a module",
                value=", ".join(map(repr, wrong)),
                cause="preload imports modules, not packages of an index",
                cure='preload("sklearn.ensemble")',
            )
        return replace(self, preload=tuple(dict.fromkeys((*self.preload, *modules))))


def has_packages(manifest: Manifest) -> bool:
    """True if it asks for any package, of pip or of conda."""
    return bool(manifest.requirements or manifest.conda)


def lock_file_while_running(path: Path) -> LaunchError:
    """The refusal of a lock file for a session that runs."""
    return LaunchError(
        "session.lock-file-while-running",
        "a lock file cannot be added to a running session",
        value=str(path),
        cure="captain.add_pip_packages(...) adds packages; or stop the session first",
    )


def _besides_a_lock(path: Path) -> RequirementError:
    return RequirementError(
        "requirements.lock-file-with-packages",
        "a lock file is taken as it is, and packages are asked for besides it",
        value=path.name,
        cure="add the packages to the lock file, or use another Captain for them",
    )
