"""What people see of the values: no credentials, nothing unescaped."""

from __future__ import annotations

from coffee_boat.model import (
    Change,
    ConfPatch,
    Finding,
    Indexes,
    Lock,
    Manifest,
    Pin,
    Plan,
    PlanItem,
    Requirement,
    SparkFacts,
    Target,
)

SECRET = "https://user:p@ss@pypi.example.org/simple"


def test_no_repr_shows_credentials() -> None:
    requirement = Requirement(text=f"tool @ {SECRET}/tool.whl", url=f"{SECRET}/tool.whl")
    for value in (
        Indexes(index_url=SECRET, extra_index_urls=(SECRET,)),
        requirement,
        Manifest(requirements=(requirement,), indexes=Indexes(index_url=SECRET)),
    ):
        assert "p@ss" not in repr(value)
        assert "user" not in repr(value)
        assert "pypi.example.org" in repr(value)


def test_a_plan_shows_no_secrets_of_spark() -> None:
    patch = ConfPatch(
        "python3",
        conf={"spark.archives": "https://h/a.tar.gz?sig=hunter2", "spark.my.password": "hunter2"},
        environment={"MY_TOKEN": "hunter2", "TZ": "UTC"},
    )
    facts = SparkFacts("4.1.0", "local", conf={"spark.my.password": "hunter2"})
    plan = Plan(Change("launch", Lock(Target("3.11.7"))), items=(), patch=patch)
    assert {
        "  spark.archives=https://h/a.tar.gz?sig=***",
        "  spark.my.password=***",
        "  MY_TOKEN=***",
        "  TZ=UTC",
    } <= set(str(plan).splitlines())
    for value in (patch, facts, plan):
        assert "hunter2" not in repr(value)


def test_html_is_escaped() -> None:
    finding = Finding("verify.odd", "<script>alert(1)</script>")
    plan = Plan(
        Change("launch", Lock(Target("3.11.7"))),
        items=(PlanItem(label="<b>x</b>", action="build"),),
        findings=(finding,),
    )
    assert "<script>" not in plan._repr_html_()
    assert "<b>x</b>" not in plan._repr_html_()


def test_the_lock_digest_depends_on_what_is_pinned_and_for_whom_only() -> None:
    pin = Pin(name="a", version="1", sha256="0" * 64, url="https://one.example.org/a.whl")
    elsewhere = Pin(
        name="a",
        version="1",
        sha256="0" * 64,
        url="https://two.example.org/a.whl",
        requires=("b",),
        size=3,
    )
    assert Lock(Target("3.11.7"), (pin,)).digest == Lock(Target("3.11.9"), (elsewhere,)).digest
    assert Lock(Target("3.11.7"), (pin,)).digest != Lock(Target("3.12.1"), (pin,)).digest
    assert (
        Lock(Target("3.11.7"), (pin,)).digest
        != Lock(Target("3.11.7"), (Pin(name="a", version="1", sha256="1" * 64),)).digest
    )


def test_a_summary_counts_as_people_do() -> None:
    pins = tuple(Pin(name=name, version="1") for name in "ab")
    target = Target("3.11.7")
    assert Lock(target, pins[:1]).summary.startswith("1 distribution for Python 3.11.7")
    assert Lock(target, pins).summary.startswith("2 distributions for Python 3.11.7")
