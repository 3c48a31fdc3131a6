"""Beam's boot program, as `bin/beam-boot`: what a Beam runner starts for an environment of the type
PROCESS.

It asks the runner what the job is (the provision service), fetches the files that were staged with
it, and becomes Beam's own Python worker. Nothing is installed: packages are those of the archive.
apache-beam has to be one of them, in the version that the job was submitted with.

Standard library only, but for apache-beam itself.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from typing import Any

_TIMEOUT = 60.0
"""Seconds that the runner has to answer."""
_WORKER = "apache_beam.runners.worker.sdk_worker_main"
_NAMED = "beam:artifact:role:staging_to:v1"


def main(argv: list[str] | None = None) -> None:
    """Be Beam's worker."""
    asked = _parser().parse_args(argv)
    info = _provision(asked)
    folder = _own_folder(asked.semi_persist_dir)
    artifacts = info.artifact_endpoint.url or asked.artifact_endpoint
    try:
        if info.dependencies and artifacts:
            _fetch(artifacts, asked.id, info.dependencies, os.path.join(folder, "staged"))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    os.environ.update(_environment(asked, info, folder))
    os.execv(sys.executable, [sys.executable, "-m", _WORKER])  # noqa: S606  (a list, no shell)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="beam-boot", description=__doc__)
    # Prism quotes it, and starts no shell that would take the quotes away
    parser.add_argument("--id", required=True, type=lambda said: said.strip("'"))
    parser.add_argument("--provision_endpoint", required=True)
    parser.add_argument("--logging_endpoint", default="")
    parser.add_argument("--control_endpoint", default="")
    parser.add_argument("--artifact_endpoint", default="")
    parser.add_argument("--semi_persist_dir", default="/tmp")  # noqa: S108  (Beam's own)
    return parser


def _own_folder(shared: str) -> str:
    """A folder that nobody else can write into, nor prepare: Beam's worker unpickles what is staged
    there, and the shared one is /tmp unless somebody says another.
    """
    os.makedirs(shared, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="beam-worker-", dir=shared)
    os.mkdir(os.path.join(folder, "staged"), 0o700)
    return folder


def _channel(url: str, worker: str) -> Any:
    """A connection on which each call says which worker asks."""
    import grpc
    from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor

    return grpc.intercept_channel(grpc.insecure_channel(url), WorkerIdInterceptor(worker))


def _provision(asked: argparse.Namespace) -> Any:
    from apache_beam.portability.api import beam_provision_api_pb2 as messages
    from apache_beam.portability.api import beam_provision_api_pb2_grpc as services

    stub = services.ProvisionServiceStub(_channel(asked.provision_endpoint, asked.id))
    request = messages.GetProvisionInfoRequest()
    return stub.GetProvisionInfo(request, timeout=_TIMEOUT, wait_for_ready=True).info


def _fetch(url: str, worker: str, dependencies: Any, folder: str) -> None:
    """Files that were staged by name, as the pickled main session.

    Raises:
        SystemExit: the name is none of a file.
    """
    from apache_beam.portability.api import beam_artifact_api_pb2 as messages
    from apache_beam.portability.api import beam_artifact_api_pb2_grpc as services
    from apache_beam.portability.api import beam_runner_api_pb2 as payloads

    stub = services.ArtifactRetrievalServiceStub(_channel(url, worker))
    request = messages.ResolveArtifactsRequest(artifacts=dependencies)
    for artifact in stub.ResolveArtifacts(request, timeout=_TIMEOUT).replacements:
        if artifact.role_urn != _NAMED:
            continue
        role = payloads.ArtifactStagingToRolePayload.FromString(artifact.role_payload)
        place = os.path.join(folder, _name(role.staged_name))
        aside, path = tempfile.mkstemp(dir=folder)  # never a link, nor what is there already
        with open(aside, "wb") as out:
            for part in stub.GetArtifact(messages.GetArtifactRequest(artifact=artifact)):
                out.write(part.data)
        os.rename(path, place)


def _name(said: str) -> str:
    if said in ("", ".", "..") or os.path.basename(said) != said or "\0" in said:
        sys.exit(f"beam-boot: this is no name of a staged file: {said!r}")
    return said


def _environment(asked: argparse.Namespace, info: Any, folder: str) -> dict[str, str]:
    """The variables that Beam's worker reads."""
    from apache_beam.portability.api import endpoints_pb2
    from google.protobuf import json_format, text_format

    def described(url: str) -> str:
        endpoint = endpoints_pb2.ApiServiceDescriptor(url=url)
        return str(text_format.MessageToString(endpoint, as_one_line=True))

    found = {
        "WORKER_ID": asked.id,
        "SEMI_PERSISTENT_DIRECTORY": folder,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "LOGGING_API_SERVICE_DESCRIPTOR": described(
            info.logging_endpoint.url or asked.logging_endpoint
        ),
        "CONTROL_API_SERVICE_DESCRIPTOR": described(
            info.control_endpoint.url or asked.control_endpoint
        ),
    }
    if info.HasField("status_endpoint"):
        found["STATUS_API_SERVICE_DESCRIPTOR"] = described(info.status_endpoint.url)
    return found


if __name__ == "__main__":
    main()
