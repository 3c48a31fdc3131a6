"""k8s://...: each pod fetches the archive and unpacks it into its working directory; images need no
Python.

    client mode     the driver is this process, outside of the cluster or in a pod; executors get
                    the archive from its file server
    cluster mode    the driver is a pod too, with the shipped interpreter: spark-submit inside of it
                    unpacks spark.archives before
                    it starts Python (org.apache.spark.deploy.SparkSubmit.prepareSubmitEnvironment)

No pod template is needed, and no init container. Images, namespaces, service accounts, node
selectors, volumes and templates are the user's own.
"""

from __future__ import annotations

from dataclasses import replace

from coffee_boat._support.redact import redact
from coffee_boat._support.urls import lenient
from coffee_boat.clusters import settings
from coffee_boat.clusters.kubernetes.api import LABEL, SESSION
from coffee_boat.errors import LaunchError
from coffee_boat.model import ConfPatch, Shipped, SparkFacts

_UPLOAD = "spark.kubernetes.file.upload.path"
_DRIVER_ENV = "spark.kubernetes.driverEnv."
_SUBMITTED = "spark.app.submitTime"
"""Set by spark-submit, which starts every driver's JVM: milliseconds."""
_LABELS = ("spark.kubernetes.driver.label.", "spark.kubernetes.executor.label.")


def patch(facts: SparkFacts, shipped: Shipped) -> ConfPatch:
    """As for every cluster whose executors ask the driver's file server, with labels; in cluster
    mode the driver's variables too.

    Raises:
        LaunchError: in cluster mode, if pods can read the archive nowhere.
    """
    made = settings.by_file_server(facts, shipped)
    made = replace(made, conf={**made.conf, **_labels(facts, shipped.archive.name)})
    if facts.deploy_mode != "cluster":
        return made
    _refuse_unreadable(facts, shipped.uri)
    made = replace(made, conf={**made.conf, **_upload_path(facts, shipped.uri)})
    return _with_driver(made, facts)


def _labels(facts: SparkFacts, archive: str) -> dict[str, str]:
    """What pods run, and of which session they are: two may run the same."""
    labels = {LABEL: archive}
    if facts.conf.get(_SUBMITTED):
        labels[SESSION] = facts.conf[_SUBMITTED]
    return {f"{prefix}{name}": value for prefix in _LABELS for name, value in labels.items()}


def _with_driver(made: ConfPatch, facts: SparkFacts) -> ConfPatch:
    """With what the driver's pod needs: its variables come from these settings only
    (BasicDriverFeatureStep).
    """
    variables = dict(made.environment)
    theirs = facts.conf.get(f"{_DRIVER_ENV}PYTHONPATH")
    if theirs and "PYTHONPATH" in variables:
        variables["PYTHONPATH"] = f"{variables['PYTHONPATH']}:{theirs}"
    return settings.with_driver(made, facts, prefix=_DRIVER_ENV, variables=variables)


def _upload_path(facts: SparkFacts, uri: str) -> dict[str, str]:
    """Where spark-submit puts a script of this machine: beside a staged archive, if the user names
    no other place and Hadoop can write there.
    """
    folder, _, _ = uri.rpartition("/")
    writable = lenient(uri).scheme not in ("", "file", "local", "http", "https")
    return {_UPLOAD: folder} if writable and not facts.conf.get(_UPLOAD) else {}


def _refuse_unreadable(facts: SparkFacts, uri: str) -> None:
    """Refuse a place that pods do not see.

    What lies on this machine is uploaded by spark-submit, if it is told where to
    (KubernetesUtils.uploadAndTransformFileUris). A `local:` place is unpacked by the driver and not
    served to executors ("File with 'local' scheme ... is not supported to add to file server").
    """
    scheme = lenient(uri).scheme
    if scheme in ("", "file") and not facts.conf.get(_UPLOAD):
        raise LaunchError(
            "launch.pod-cannot-read-archive",
            "the driver's pod cannot read the archive",
            value=redact(uri),
            cause=f"it lies on this machine, and {_UPLOAD} is not set",
            cure=(
                'stage="s3a://bucket/boats" (or hdfs://, gs://, abfs://: what pods can read); or'
                f" --conf {_UPLOAD}=s3a://bucket/uploads, where"
                f" spark-submit puts it and your script; or {_UPLOAD}=file:///shared with a volume"
                " mounted there in the driver's pod"
            ),
        )
    if scheme == "local":
        raise LaunchError(
            "launch.archive-in-image",
            "an archive inside the image or on a volume cannot be used",
            value=redact(uri),
            cause="Spark's driver unpacks it and does not pass it on to executors",
            cure=f"name it by a URL that pods can read, or by file: with {_UPLOAD}",
        )


def refuse_unreadable_script(facts: SparkFacts, script: str) -> None:
    """A driver's pod sees nothing of this machine; spark-submit uploads a script, if it is told
    where to.

    Raises:
        LaunchError: it is not.
    """
    if lenient(script).scheme not in ("", "file") or facts.conf.get(_UPLOAD):
        return
    raise LaunchError(
        "launch.pod-cannot-read-script",
        "the driver's pod cannot read the script",
        value=script,
        cause=f"it lies on this machine, and {_UPLOAD} is not set",
        cure=(
            f"--conf {_UPLOAD}=s3a://bucket/uploads: a place that pods can read and you can write;"
            " or name the script by a URL that pods can read, or local:///path in the image"
        ),
    )
