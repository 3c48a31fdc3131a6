"""What is wanted, in one set of options that all commands share, in a terminal and in a
notebook.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, TypeVar, cast

import click

from coffee_boat import requirements
from coffee_boat.captain import Captain
from coffee_boat.cli import spark_words
from coffee_boat.model import Manifest, Plan

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Wanted:
    """The shared options of one command."""

    pip: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    conda: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    lock: str | None = None
    accept_conda_license: bool | None = None
    python: str | None = None
    platform: str | None = None
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    offline: bool | None = None
    torch_backend: str | None = None
    store: str | None = None
    ship_python: bool | None = None
    exclude: tuple[str, ...] = ()
    allow_changes: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What a Captain takes when it is made; only what was said."""
        names = (
            "accept_conda_license",
            "python",
            "platform",
            "index_url",
            "extra_index_urls",
            "find_links",
            "offline",
            "torch_backend",
            "store",
            "ship_python",
            "exclude",
        )
        return {name: value for name in names if (value := getattr(self, name)) not in (None, ())}

    def captain(self) -> Captain:
        """A new Captain that wants this.

        Raises:
            BoatError: as the Captain's own functions.
        """
        return self.add_to(Captain(**self.settings))

    def manifest(self) -> Manifest:
        """All of it but a lock.

        Raises:
            RequirementError: it cannot be read, or contradicts itself.
        """
        files = [requirements.read(path) for path in self.requirements]
        files += [
            requirements.read_environment(path, channels=self.channels or None)
            for path in self.environments
        ]
        named = [
            requirements.conda_packages(self.conda, origin="--conda", channel=self.channels),
            requirements.pip_packages(self.pip, origin="--pip"),
            requirements.own_code(self.local, origin="--local"),
        ]
        return requirements.merge([*files, *named])

    def add_to(self, captain: Captain) -> Captain:
        """Ask a Captain for the packages: in a running session for all at once, in one layer.

        Raises:
            BoatError: as the Captain's own functions.
        """
        captain.add_manifest(self.manifest(), allow_changes=self.allow_changes)
        if self.lock is not None:
            captain.add_lock(self.lock)
        return captain


class Place(Protocol):
    """Where a command runs: a terminal or a notebook. It is the `obj` of click's context."""

    def captain(self, wanted: Wanted) -> Captain:
        """The Captain that the command works on, with `wanted` added."""

    def plan(self, wanted: Wanted, master: str | None) -> Plan:
        """What would be done; nothing is asked for by that."""

    def show(self, value: Any, *, as_json: bool = False) -> None:
        """Give out the command's product."""


@dataclass(frozen=True)
class Where:
    """The Spark that is meant."""

    master: str | None = None
    deploy_mode: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict)
    preload: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probing:
    """How executors are asked."""

    modules: tuple[str, ...] = ()
    deadline: float = 120.0
    """Seconds."""


OF_PACKAGES = tuple(part.name for part in fields(Wanted))
"""The shared options, as click names them."""


def wanted(command: F) -> F:
    """Give a command the shared options; it gets them as one argument `wanted`."""
    return _gathered(command, "wanted", Wanted, _WANTED)


def where(command: F) -> F:
    """Give a command the options of a Spark; it gets them as one argument `where`."""
    return _at(command, (master, _DEPLOY_MODE, _CONF, _PRELOAD))


def cluster(command: F) -> F:
    """The same for a command that only asks the cluster."""
    return _at(command, (master, _DEPLOY_MODE, _CONF))


def session(command: F) -> F:
    """The same for a command that starts the session itself: its driver is here."""
    return _at(command, (master, _CONF, _PRELOAD))


def probing(command: F) -> F:
    """Give a command what says how executors are asked; it gets it as one argument `probing`."""
    return _gathered(command, "probing", Probing, (_MODULE, _DEADLINE))


def _at(command: F, group: Sequence[Callable[[F], F]]) -> F:
    """With spark-submit's own words for settings."""

    @functools.wraps(command)
    def said(*args: Any, where: Where, **kwargs: Any) -> Any:
        words = spark_words.said(click.get_current_context())
        return command(
            *args, where=replace(where, conf=spark_words.merged(where.conf, words)), **kwargs
        )

    return _gathered(cast(F, spark_words.settings(said)), "where", Where, group)


def _gathered(command: F, argument: str, kind: type[Any], group: Sequence[Callable[[F], F]]) -> F:
    @functools.wraps(command)
    def gathered(*args: Any, **kwargs: Any) -> Any:
        given = {part.name: kwargs.pop(part.name) for part in fields(kind) if part.name in kwargs}
        return command(*args, **{argument: kind(**given)}, **kwargs)

    for option in reversed(group):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


def _pairs(
    _context: click.Context, _option: click.Parameter, values: Sequence[str]
) -> dict[str, str]:
    """KEY=VALUE... as a dict; the last one of a key wins, as with spark-submit."""
    for value in values:
        if not value.partition("=")[1] or not value.partition("=")[0].strip():
            raise click.BadParameter(f"{value!r} is not KEY=VALUE")
    return {key.strip(): text for key, _, text in (value.partition("=") for value in values)}


_WANTED = (
    click.option(
        "--pip",
        multiple=True,
        metavar="REQUIREMENT",
        help='A package: PEP 508 ("numpy>=2"), a wheel, a folder, a VCS URL. Repeatable.',
    ),
    click.option(
        "--local",
        multiple=True,
        metavar="PATH",
        type=click.Path(),
        help=(
            "Code of your own: helpers.py, the folder of a package, a folder of modules, a project."
            " Repeatable."
        ),
    ),
    click.option(
        "-r",
        "--requirements",
        multiple=True,
        metavar="FILE",
        type=click.Path(),
        help=(
            "A requirements.txt, a pyproject.toml, or a script with inline metadata (PEP 723)."
            " Repeatable."
        ),
    ),
    click.option(
        "--conda",
        multiple=True,
        metavar="SPEC",
        help=(
            'A conda package: "numpy >=2", "conda-forge::scipy". Repeatable. Needs the extra'
            " `conda`."
        ),
    ),
    click.option(
        "--channel",
        "channels",
        multiple=True,
        metavar="CHANNEL",
        help=(
            "A conda channel, the first one first, in place of others. Repeatable. Default:"
            " .condarc's, else conda-forge."
        ),
    ),
    click.option(
        "--environment",
        "environments",
        multiple=True,
        metavar="FILE",
        type=click.Path(),
        help="An environment.yml of conda. Repeatable.",
    ),
    click.option(
        "--lock",
        metavar="FILE",
        type=click.Path(),
        help="A pylock.toml (PEP 751), a pixi.lock or an @EXPLICIT list of conda, taken as it is.",
    ),
    click.option(
        "--accept-conda-license",
        is_flag=True,
        default=None,
        help="Agree to the terms of Anaconda's own channels (defaults, main, r, msys2, anaconda).",
    ),
    click.option(
        "--python",
        metavar="VERSION|PATH|conda",
        help=(
            'The interpreter to ship: "3.11", a path, or "conda" for conda\'s. Default: the one'
            " that runs boat; for nodes of another machine a standalone build."
        ),
    ),
    click.option(
        "--platform",
        metavar="TAG",
        help=(
            'What the nodes are, in pip\'s words, as "manylinux_2_28_x86_64"; "auto" asks the'
            " cluster, where it can be asked before building."
        ),
    ),
    click.option(
        "--index-url",
        metavar="URL",
        help=(
            "The package index. A password in here shows in the process list; ~/.netrc and pip.conf"
            " do not."
        ),
    ),
    click.option(
        "--extra-index-url",
        "extra_index_urls",
        multiple=True,
        metavar="URL",
        help="A further index. Repeatable.",
    ),
    click.option(
        "--find-links", multiple=True, metavar="FOLDER|URL", help="A place with wheels. Repeatable."
    ),
    click.option(
        "--offline", is_flag=True, default=None, help="Use nothing but the store and local folders."
    ),
    click.option(
        "--torch-backend",
        metavar="NAME",
        help="Which build of torch: cpu, cu128..., as uv's option. Default: that of the index.",
    ),
    click.option(
        "--store",
        metavar="FOLDER",
        type=click.Path(),
        help=(
            "The folder for what was built. Default: COFFEE_BOAT_STORE, or the user's cache folder."
        ),
    ),
    click.option(
        "--no-ship-python",
        "ship_python",
        flag_value=False,
        type=bool,
        default=None,
        help="Use the nodes' own interpreter.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="WORD",
        help=(
            "What stays behind of packages: tests, headers, static-libraries, stubs; a pattern with"
            " a * or a / as in .gitignore, below site-packages; the name of a package. Repeatable."
        ),
    ),
)

allow_changes = click.option(
    "--allow-changes",
    is_flag=True,
    help="In a running session: what is installed may get another version where it has to.",
)
"""One more of the shared options, for a command that adds to a session."""
_DEPLOY_MODE = click.option(
    "--deploy-mode",
    type=click.Choice(["client", "cluster"]),
    help="Where the driver runs. Default: client.",
)
_CONF = click.option(
    "-c",
    "--conf",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_pairs,
    help="A Spark setting. Repeatable.",
)

_PRELOAD = click.option(
    "--preload",
    multiple=True,
    metavar="MODULE",
    help="Import it once an executor, before Python workers are forked. Repeatable.",
)
_MODULE = click.option(
    "--module",
    "modules",
    multiple=True,
    metavar="NAME",
    help="Import it on every executor too, and look at what it loads. Repeatable.",
)
_DEADLINE = click.option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    help="Seconds to wait for executors.",
)

master = click.option(
    "--master",
    metavar="MASTER",
    help="As spark-submit takes it: local[2], local-cluster[2,1,1024], spark://host:7077.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
