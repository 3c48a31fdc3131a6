"""What a node may lack: C++ libraries that wheels take from the system, and the place where OpenSSL
looks for certificates.

Standard library only, Python 3.9 and later; runs at every start of a shipped interpreter, so the
usual case costs a few stat calls.
"""

# os.path, not pathlib: this runs at every start of an interpreter, and pathlib costs more than all
# the rest.

from __future__ import annotations

import os
import sys

FALLBACKS = ("libgcc_s.so.1", "libstdc++.so.6", "libz.so.1")
"""In the order in which they need each other."""

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL 6 and later
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # RHEL 7 and later
    "/etc/ssl/cert.pem",  # Alpine
)
"""Where distributions keep the CA certificates, as Go's crypto/x509 lists them (root_linux.go)."""

_FOLDERS = (
    "/lib64",
    "/usr/lib64",
    "/lib/{0}-linux-gnu",
    "/usr/lib/{0}-linux-gnu",
    "/lib",
    "/usr/lib",
)


def prepare(prefix: str) -> None:
    """Make up for what this node lacks.

    Args:
        prefix: the folder that the archive was unpacked into.
    """
    use_fallback_libraries(prefix)
    use_certificates(prefix)


def use_fallback_libraries(prefix: str) -> None:
    """Load the archive's libstdc++, libgcc_s and libz where the node has none.

    A library that is loaded already serves whoever asks for its soname later, also a wheel whose
    own DT_RUNPATH keeps it from the interpreter's lib/. A node's own library always wins: it fits
    the node's glibc.
    """
    folder = os.path.join(prefix, "lib", "fallback")
    for name in FALLBACKS:
        path = os.path.join(folder, name)
        if not _node_has(name) and os.path.exists(path):
            _load(path)


def use_certificates(prefix: str) -> None:
    """Point OpenSSL to this node's CA certificates, or to certifi's or those of conda's
    ca-certificates if it has none.

    The place that is compiled into OpenSSL is that of the machine where the interpreter was made.
    What the user set stays.
    """
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return
    version = "python{}.{}".format(*sys.version_info[:2])
    carried = (
        os.path.join(prefix, "lib", version, "site-packages", "certifi", "cacert.pem"),
        os.path.join(prefix, "ssl", "cacert.pem"),
    )
    for bundle in (*BUNDLES, *carried):
        if os.path.exists(bundle):
            os.environ["SSL_CERT_FILE"] = bundle
            return


def _node_has(name: str) -> bool:
    folders = [folder.format(os.uname().machine) for folder in _FOLDERS]
    folders += os.environ.get("LD_LIBRARY_PATH", "").split(":")
    return any(folder and os.path.exists(os.path.join(folder, name)) for folder in folders)


def _load(path: str) -> None:
    try:
        import ctypes

        ctypes.CDLL(path)
    except (ImportError, OSError) as error:
        # Not fatal: most programs never need it, and who does names it. This line is the only place
        # where the reason is known.
        sys.stderr.write(
            f"coffee_boat: {os.path.basename(path)} is neither on this node nor usable from the"
            f" archive: {error}\n"
        )
