"""Systems that are not Spark, with an archive of ours and what `boat conf --for` says to type."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from lanes import require_java

from integration import systems_lane
from integration.beds._processes import free_ports
from integration.systems_lane import EXAMPLES, Outside, result

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
YEARS = [1984, 2004]
pytestmark = pytest.mark.timeout(1800)

Asked = Callable[..., Outside]


@pytest.fixture
def asked(request: pytest.FixtureRequest, store: Path, tmp_path: Path) -> Asked:
    """What `boat conf --for` prints."""
    if not request.config.getoption("--every-system"):
        pytest.skip("some hundred MB: make test-systems")

    def ask(system: str, *packages: str, python: Path | None = None) -> Outside:
        return systems_lane.outside(
            *(system, *packages),
            python=python or Path(sys.executable),
            store=store,
            folder=tmp_path,
        )

    return ask


def test_dask_runs_with_workers_from_an_unpacked_archive(asked: Asked) -> None:
    there = asked("dask", "distributed")
    there.unpack()
    (port,) = free_ports(1)
    quiet = ["--host", "127.0.0.1", "--no-dashboard"]
    scheduler = [*there.line("/opt/boat/bin/dask scheduler"), *quiet, "--port", str(port)]
    address = f"127.0.0.1:{port}"
    worker = there.line("/opt/boat/bin/dask worker", **{"SCHEDULER:8786": address})
    with contextlib.ExitStack() as cluster:
        log = cluster.enter_context(there.running("scheduler", scheduler))
        systems_lane.wait_for(log, "Scheduler at")
        for name in ("one", "two"):
            argv = [*worker, *quiet, "--nworkers", "1", "--nthreads", "1", "--name", name]
            log = cluster.enter_context(there.running(name, argv))
            systems_lane.wait_for(log, "Registered to")
        job = str(EXAMPLES / "dask_job.py")
        told = result(there.boat("exec", there.folder, "--", "python", job, f"tcp://{address}"))
    assert told == {
        "years": YEARS,
        "pythons": [str(there.folder / f"bin/python{MINOR}")],
        "workers": 2,
    }
    there.keep_row("Dask")


def test_ray_runs_on_two_nodes_from_an_unpacked_archive(asked: Asked) -> None:
    there = asked("ray", "ray")
    there.unpack()
    (port,) = free_ports(1)
    small = ["--block", "--num-cpus=1", "--object-store-memory=100000000"]
    small += ["--node-ip-address=127.0.0.1"]
    head = [*there.line("/opt/boat/bin/ray start --head"), *small, f"--port={port}"]
    head += ["--include-dashboard=false"]
    address = f"127.0.0.1:{port}"
    other = there.line("/opt/boat/bin/ray start --address", **{"HEAD:6379": address})
    with contextlib.ExitStack() as cluster:
        short = cluster.enter_context(tempfile.TemporaryDirectory(prefix="ray-"))  # of sockets
        log = cluster.enter_context(there.running("head", [*head, f"--temp-dir={short}"]))
        systems_lane.wait_for(log, "Ray runtime started")
        log = cluster.enter_context(there.running("other", [*other, *small]))
        systems_lane.wait_for(log, "Ray runtime started")
        program = there.line(f"/opt/boat/bin/python{MINOR} ", **{"job.py": "ray_job.py"})
        told = result(there.run(program[0], EXAMPLES / program[1], address))
    python = str(there.folder / f"bin/python{MINOR}")
    assert told == {"years": YEARS, "pythons": [python], "nodes": 2}
    there.keep_row("Ray")


def test_flink_runs_functions_with_the_python_of_the_archive_that_it_unpacks(asked: Asked) -> None:
    """On a MiniCluster, which the program starts."""
    require_java()
    there = asked("flink", "apache-flink")
    _, archive = there.line("--pyArchives")
    _, python = there.line("--pyExecutable")
    job = ("python", EXAMPLES / "flink_job.py", archive, python)
    rows = result(there.boat("exec", there.archive, "--", *job))
    assert [year for year, _, _ in rows] == YEARS
    for _, program, module in rows:
        home = Path(program).parent.parent
        assert home.name == "boat", "the folder that the text names"
        assert not home.is_relative_to(there.store), "that of boat exec, where the program runs"
        assert Path(module).is_relative_to(home / "lib"), "of no other Python"
    there.keep_row("Flink")


def test_beam_runs_with_a_pool_of_workers_from_an_unpacked_archive(asked: Asked) -> None:
    """By Beam's own portable runner, which starts no process for an environment."""
    there = asked("beam", "apache-beam")
    there.unpack()
    jobs, pool = free_ports(2)
    python = f"/opt/boat/bin/python{MINOR}"
    workers = there.line(f"{python} -m apache_beam.runners.worker", **{"50000": str(pool)})
    service = "apache_beam.runners.portability.local_job_service_main"
    options = [
        *there.line("--environment_type=EXTERNAL"),
        *there.line("--environment_config=localhost:", **{"50000": str(pool)}),
        "--runner=PortableRunner",
        f"--job_endpoint=localhost:{jobs}",
    ]
    program = str(there.folder / "bin" / f"python{MINOR}")
    out = there.folder.parent / "years"
    with (
        there.running("pool", workers) as log,
        there.running("jobs", [program, "-m", service, "--port", str(jobs)]),
    ):
        there.run(program, EXAMPLES / "beam_job.py", out, *options)
        assert "Starting worker with command" in log.read_text(), "the pool started none"
    assert sorted(out.read_text().splitlines()) == [
        f"{year} {there.folder}/bin/python" for year in YEARS
    ], "what the pool starts is called python"
    there.keep_row("Beam")
