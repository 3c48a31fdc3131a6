"""Beam's boot program: what it stages, where, and what Beam's worker is told. apache-beam itself is
not here: a package that stands for it answers as a runner's services do.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

FILES = {
    "grpc": "def insecure_channel(url): return url\n"
    "def intercept_channel(channel, interceptor): return channel\n",
    "google/protobuf/json_format": "def MessageToJson(message): return '{}'\n",
    "google/protobuf/text_format": "def MessageToString(message, **_): return message.url\n",
    "apache_beam/runners/worker/worker_id_interceptor": "WorkerIdInterceptor = str\n",
    "apache_beam/portability/api/endpoints_pb2": """
from types import SimpleNamespace as ApiServiceDescriptor
""",
    "apache_beam/portability/api/beam_provision_api_pb2": """
from types import SimpleNamespace as GetProvisionInfoRequest
""",
    "apache_beam/portability/api/beam_provision_api_pb2_grpc": """
from types import SimpleNamespace as Of
class ProvisionServiceStub:
    def __init__(self, channel): pass
    def GetProvisionInfo(self, request, **_):
        said = Of(url="there:1")
        return Of(info=Of(artifact_endpoint=said, logging_endpoint=said, control_endpoint=said,
            dependencies=[1], pipeline_options=None, runner_capabilities=["a"],
            HasField=lambda name: False))
""",
    "apache_beam/portability/api/beam_runner_api_pb2": """
from types import SimpleNamespace as Of
class ArtifactStagingToRolePayload:
    FromString = staticmethod(lambda said: Of(staged_name=said))
""",
    "apache_beam/portability/api/beam_artifact_api_pb2": """
from types import SimpleNamespace as ResolveArtifactsRequest
from types import SimpleNamespace as GetArtifactRequest
""",
    "apache_beam/portability/api/beam_artifact_api_pb2_grpc": """
import json, os
from types import SimpleNamespace as Of
class ArtifactRetrievalServiceStub:
    def __init__(self, channel): pass
    def ResolveArtifacts(self, request, **_):
        return Of(replacements=[Of(role_urn="beam:artifact:role:staging_to:v1", role_payload=name)
            for name in json.loads(os.environ["STAGED"])])
    def GetArtifact(self, request):
        return [Of(data=b"of "), Of(data=request.artifact.role_payload.encode())]
""",
    "apache_beam/runners/worker/sdk_worker_main": """
import os
print(os.environ["WORKER_ID"], os.environ["SEMI_PERSISTENT_DIRECTORY"])
""",
}


@pytest.fixture
def beam(tmp_path: Path) -> Path:
    """A folder with what stands for Beam."""
    for name, text in FILES.items():
        place = tmp_path / "beam" / f"{name}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return tmp_path / "beam"


def booted(
    beam: Path, folder: Path, *names: str, worker: str = "1-1"
) -> subprocess.CompletedProcess[str]:
    words = ["--id", worker, "--provision_endpoint", "there:0", "--semi_persist_dir", str(folder)]
    return subprocess.run(
        [sys.executable, "-m", "coffee_boat.worker.beam", *words],
        env={**os.environ, "PYTHONPATH": str(beam), "STAGED": json.dumps(names)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_each_worker_has_what_was_staged_in_a_folder_that_is_its_own(
    beam: Path, tmp_path: Path
) -> None:
    """Beam's worker unpickles it: nobody else may have written it."""
    shared, victim = tmp_path / "shared", tmp_path / "victim"
    victim.write_text("theirs")
    (shared / "staged").mkdir(parents=True)
    (shared / "staged" / "pickled_main_session").symlink_to(victim)
    done = booted(beam, shared, "pickled_main_session", "lib.tar.gz", "lib.tar.gz")
    assert done.returncode == 0, done.stderr
    worker, own = done.stdout.split()
    assert (worker, Path(own).parent) == ("1-1", shared)
    assert stat.S_IMODE(Path(own).stat().st_mode) == 0o700
    staged = Path(own, "staged")
    assert sorted(path.name for path in staged.iterdir()) == ["lib.tar.gz", "pickled_main_session"]
    assert (staged / "pickled_main_session").read_text() == "of pickled_main_session"
    assert victim.read_text() == "theirs"


def test_a_worker_whose_name_the_runner_quotes_is_that_worker(beam: Path, tmp_path: Path) -> None:
    """As Beam's Prism does: it knows no worker with quotes."""
    done = booted(beam, tmp_path / "shared", worker="'job-001_1'")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "job-001_1"


@pytest.mark.parametrize("name", ["", "..", "../x"])
def test_a_staged_name_that_is_no_name_of_a_file_is_refused(
    name: str, beam: Path, tmp_path: Path
) -> None:
    done = booted(beam, tmp_path / "shared", name)
    assert done.returncode == 1
    assert done.stderr == f"beam-boot: this is no name of a staged file: {name!r}\n"
    assert not list((tmp_path / "shared").iterdir())
