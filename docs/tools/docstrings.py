"""The page of the Python names."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping

from docs.tools.markdown import escaped, first_sentences, table

RESULTS = ("Arrival", "ExecutorFacts", "PlanItem")
"""Values that a user gets from others, and makes none of: public by way of these."""


def page() -> str:
    """The public names, in the order of what a user meets."""
    import coffee_boat
    from coffee_boat import model

    public = {
        name: (f"coffee_boat.{name}", getattr(coffee_boat, name))
        for name in coffee_boat.__all__
        if not name.startswith("__")
    }
    results = {name: (f"coffee_boat.model.{name}", getattr(model, name)) for name in RESULTS}
    classes = {name: pair for name, pair in public.items() if isinstance(pair[1], type)}
    errors = {n: pair for n, pair in classes.items() if issubclass(pair[1], Exception)}
    captain = {"Captain": classes["Captain"]}
    values = {n: p for n, p in classes.items() if n not in errors and n not in captain}
    return "\n".join(
        [
            "# Python\n",
            "<!-- Made from the docstrings by docs/tools: make reference -->\n",
            (
                "`from coffee_boat import Captain`. These names are public."
                " In Python, `help(Captain)` has the docstrings whole; so has the site."
            ),
            *_section("What you hold", captain),
            *_section("What you get", {**values, **results}),
            *_section("Errors", errors),
        ]
    )


def _section(title: str, classes: Mapping[str, tuple[str, type]]) -> Iterator[str]:
    yield f"\n## {title}"
    for name, (path, kind) in classes.items():
        yield f"\n### {name}\n\n<!-- api {path} -->\n\n{escaped(first_sentences(kind))}"
        rows = [(_spelled(kind, member), text) for member, text in _members(kind)]
        if rows:
            yield "\n" + table(("name", "meaning"), rows, code=True)
        yield "\n<!-- end of api -->"


def _members(kind: type) -> Iterator[tuple[str, str]]:
    """Public methods and properties of the class, and of those of ours that it is one of, in the
    order of their sources; of an error its own only.
    """
    ours = [one for one in reversed(kind.__mro__) if one.__module__.startswith("coffee_boat.")]
    for owner in [kind] if issubclass(kind, Exception) else ours:
        for name, attribute in vars(owner).items():
            value = getattr(attribute, "__func__", attribute)
            if not name.startswith("_") and (
                inspect.isfunction(value) or isinstance(value, property)
            ):
                yield name, first_sentences(value)


def _spelled(kind: type, name: str) -> str:
    if isinstance(inspect.getattr_static(kind, name), property):
        return name
    parameters = inspect.signature(getattr(kind, name)).parameters.values()
    return f"{name}({', '.join(_parameters(parameters))})"


def _parameters(parameters: Iterable[inspect.Parameter]) -> Iterator[str]:
    for one in parameters:
        if one.name == "self":
            continue
        stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        needed = one.default is one.empty
        yield f"{stars}{one.name}" + ("" if needed or stars else f"={one.default!r}")
