"""Modules that libraries import by themselves where they find them, and whose they are.

`import pyspark` and the first session look for numpy, py4j for numpy, requests for chardet and
simplejson, pickle for org.python.core (Jython's): with "if it is there". A distribution that is
not the module's own, and brings one of that name, would run though nobody imported it.

The names are what these import and neither bring nor need, in their sources: pyspark 3.5 to 4.1,
py4j, the standard library, packaging, pip, IPython, ipykernel, jupyter_client, traitlets, pygments,
pandas, rich, click, requests, urllib3, fsspec, and this program. Pure: takes names, gives names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import MappingProxyType

from coffee_boat.model import Finding

_SAME = (
    "adlfs aiohttp argcomplete asyncssh black bottleneck brotli brotlicffi cffi chardet "
    "cloudpickle colorama comm configobj cryptography curio dask debugpy deepspeed distributed "
    "docrepr docutils fastparquet flameprof fsspec gcsfs graphviz h2 huggingface_hub idna "
    "ipykernel ipyparallel ipywidgets isal jedi jinja2 jupyter_ai jupyter_ai_magics kerchunk "
    "keyring lxml lz4 lzmaffi matplotlib matplotlib_inline memory_profiler mlflow msgpack "
    "nbformat nest_asyncio netifaces networkx numba numexpr numpy ocifs orjson ossfs pandas "
    "paramiko pexpect pip plotly psutil pyarrow pygit2 pygments pyperclip pyspark_connect "
    "pystack pytest requests requests_kerberos s3fs scipy setuptools simplejson smbprotocol "
    "sphinx tabulate threadpoolctl torch torcheval tornado tqdm traitlets trio truststore "
    "typing_extensions ujson wcwidth yapf yarl zstandard"
)
"""Modules that are called as their distribution is."""

OWNERS = MappingProxyType(
    {name: (name.replace("_", "-"),) for name in _SAME.split()}
    | {
        # Repackagings, and conda's names.
        "numpy": ("numpy", "intel-numpy", "numpy-mkl", "numpy-base"),
        "scipy": ("scipy", "intel-scipy"),
        "matplotlib": ("matplotlib", "matplotlib-base"),
        "pyarrow": ("pyarrow", "pyarrow-nightly", "pyarrow-core"),
        "torch": ("torch", "torch-nightly", "pytorch", "pytorch-cpu", "pytorch-gpu"),
        "mlflow": ("mlflow", "mlflow-skinny", "mlflow-tracing"),
        "graphviz": ("graphviz", "python-graphviz"),
        "brotli": ("brotli", "brotli-python", "brotlipy"),
        "lz4": ("lz4", "python-lz4"),
        "msgpack": ("msgpack", "msgpack-python"),
        "dask": ("dask", "dask-core"),
        "ipywidgets": ("ipywidgets",),
        "psutil": ("psutil",),
        "plotly": ("plotly",),
        # Of another name than their module.
        "IPython": ("ipython",),
        "OpenSSL": ("pyopenssl",),
        "attr": ("attrs",),
        "attrs": ("attrs",),
        "_distutils_hack": ("setuptools",),
        "pkg_resources": ("setuptools",),
        "distutils": ("setuptools",),
        "_ruamel_yaml": ("ruamel-yaml-clib",),
        "_ruamel_yaml_clibz": ("ruamel-yaml-clibz",),
        "grpc": ("grpcio",),
        "grpc_status": ("grpcio-status",),
        "fuse": ("fusepy",),
        "libarchive": ("libarchive-c",),
        "rattler": ("py-rattler",),
        "readline": ("gnureadline",),
        "sklearn": ("scikit-learn", "scikit-learn-intelex"),
        "smbclient": ("smbprotocol",),
        "snappy": ("python-snappy",),
        "socks": ("pysocks",),
        "sockshandler": ("pysocks",),
        "yaml": ("pyyaml",),
        "_yaml": ("pyyaml",),
        # Folders of many distributions (namespace packages), and their own __init__.
        "google": (
            "protobuf",
            "googleapis-common-protos",
            "google-auth",
            "google-api-core",
            "google-cloud-core",
        ),
        "google.protobuf": ("protobuf",),
        "google._upb": ("protobuf",),
        "google.rpc": ("googleapis-common-protos",),
        "backports": (
            "backports",
            "setuptools",
            "backports-csv",
            "backports-functools-lru-cache",
            "backports-ssl-match-hostname",
            "backports-tarfile",
            "backports-weakref",
            "backports-zoneinfo",
        ),
        "backports.zstd": ("backports-zstd",),
        # Of other Pythons and systems: nobody's here.
        "_manylinux": (),
        "_winreg": (),
        "_pydevd_bundle": (),
        "appnope": ("appnope",),
        "comtypes": ("comtypes",),
        "java": (),
        "js": (),
        "org": (),
        "pyodide": (),
        "vms_lib": (),
        "win32api": ("pywin32",),
        "win32con": ("pywin32",),
    }
)
"""Module, dotted -> the distributions that it may be of, normalized."""

_SHARED = frozenset(name.partition(".")[0] for name in OWNERS if "." in name)
_FOLDED = MappingProxyType({name.casefold(): name for name in OWNERS})
_SHOWN = 3


def foreign(names: Iterable[str], distribution: str) -> tuple[str, ...]:
    """Modules of the list that are another distribution's, sorted.

    Args:
        names: of the distribution's files, relative to site-packages; of folders with a slash at
            the end.
        distribution: its name, normalized.
    """
    brought = {_FOLDED.get(module.casefold(), "") for name in names for module in _modules(name)}
    return tuple(sorted(one for one in brought if one and distribution not in OWNERS[one]))


def of_standard_library(names: Iterable[str], distribution: str) -> tuple[str, ...]:
    """Modules that are called as one of the standard library's, of any system, sorted: a Python
    that was built without one (readline, _lzma), or for another system (winreg), looks elsewhere.

    Args:
        names, distribution: as for `foreign`.
    """
    brought = {module for name in names for module in _modules(name)}
    return tuple(
        sorted(
            one
            for one in brought & sys.stdlib_module_names - {"test"}
            if distribution not in OWNERS.get(one, ())
        )
    )


def findings(label: str, names: Iterable[str], distribution: str) -> Iterator[Finding]:
    """What is said of a package for executors: there its .pth files run at each start as it is."""
    if modules := foreign(names, distribution):
        others = f", + {len(modules) - _SHOWN} others" if len(modules) > _SHOWN else ""
        yield Finding(
            "build.module-of-another",
            "a package brings a module that others import by themselves",
            value=f"{label}: {', '.join(modules[:_SHOWN])}{others}",
            cause=whose(modules),
            cure="leave the package out if you do not know why it has that module",
        )


def whose(modules: Iterable[str]) -> str:
    """For people: why these modules are looked at."""
    said = [f"{one} (of {' or '.join(OWNERS[one])})" if OWNERS.get(one) else one for one in modules]
    return (
        f"pyspark, Python or other libraries import {', '.join(said[:_SHOWN])} where they find it,"
        " though you never do"
    )


def _modules(name: str) -> Iterator[str]:
    """The module that a file is part of: its first part; in a shared folder its second, too."""
    first, inside, rest = name.partition("/")
    top = first if inside else first.partition(".")[0]
    if top.casefold() not in _SHARED or not inside or rest.startswith("__init__."):
        yield top
    elif rest:
        second, deeper, _ = rest.partition("/")
        yield f"{top}.{second if deeper else second.partition('.')[0]}"
