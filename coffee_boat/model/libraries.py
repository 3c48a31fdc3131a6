"""Which packages have a library that a Python package takes from its node.

The names are those of Debian 12, of RHEL 9 and Fedora (with EPEL), and of conda-forge. Where a
library has another name in other releases, the name there is near.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TABLE = """
    libGL libgl1 mesa-libGL libgl
    libEGL libegl1 libglvnd-egl libegl
    libGLX libglx0 libglvnd-glx libglx
    libOpenGL libopengl0 libglvnd-opengl libopengl
    libGLU libglu1-mesa mesa-libGLU libglu
    libGLdispatch libglvnd0 libglvnd libglvnd
    libglib-2.0 libglib2.0-0 glib2 glib
    libgthread-2.0 libglib2.0-0 glib2 glib
    libgobject-2.0 libglib2.0-0 glib2 glib
    libgio-2.0 libglib2.0-0 glib2 glib
    libSM libsm6 libSM xorg-libsm
    libICE libice6 libICE xorg-libice
    libX11 libx11-6 libX11 xorg-libx11
    libXext libxext6 libXext xorg-libxext
    libXrender libxrender1 libXrender xorg-libxrender
    libXft libxft2 libXft xorg-libxft
    libXi libxi6 libXi xorg-libxi
    libXt libxt6 libXt xorg-libxt
    libxcb libxcb1 libxcb libxcb
    libxkbcommon libxkbcommon0 libxkbcommon libxkbcommon
    libfontconfig libfontconfig1 fontconfig fontconfig
    libfreetype libfreetype6 freetype freetype
    libgtk-3 libgtk-3-0 gtk3 gtk3
    libcairo libcairo2 cairo cairo
    libpango-1.0 libpango-1.0-0 pango pango
    libpangocairo-1.0 libpangocairo-1.0-0 pango pango
    libpangoft2-1.0 libpangoft2-1.0-0 pango pango
    libgdk_pixbuf-2.0 libgdk-pixbuf-2.0-0 gdk-pixbuf2 gdk-pixbuf
    libgomp libgomp1 libgomp libgomp
    libomp libomp5 libomp llvm-openmp
    libgfortran libgfortran5 libgfortran libgfortran5
    libquadmath libquadmath0 libquadmath libgfortran5
    libstdc++ libstdc++6 libstdc++ libstdcxx
    libgcc_s libgcc-s1 libgcc libgcc
    libatomic libatomic1 libatomic -
    libopenblas libopenblas0 openblas-serial openblas
    libblas libblas3 blas libblas
    liblapack liblapack3 lapack liblapack
    libtbb libtbb12 tbb tbb
    libnuma libnuma1 numactl-libs libnuma
    libodbc libodbc2 unixODBC unixodbc
    libodbcinst libodbcinst2 unixODBC unixodbc
    libpq libpq5 libpq libpq
    libmariadb libmariadb3 mariadb-connector-c mariadb-connector-c
    libmysqlclient libmariadb3 mysql-libs mysql-libs
    libsqlite3 libsqlite3-0 sqlite-libs libsqlite
    libsasl2 libsasl2-2 cyrus-sasl-lib cyrus-sasl
    libkrb5 libkrb5-3 krb5-libs krb5
    libgssapi_krb5 libgssapi-krb5-2 krb5-libs krb5
    libk5crypto libk5crypto3 krb5-libs krb5
    libldap libldap-2.5-0 openldap openldap
    libssl libssl3 openssl-libs openssl
    libcrypto libssl3 openssl-libs openssl
    libcrypt libcrypt1 libxcrypt-compat libxcrypt
    libnsl libnsl2 libnsl -
    libaio libaio1 libaio libaio
    libffi libffi8 libffi libffi
    libz zlib1g zlib libzlib
    libbz2 libbz2-1.0 bzip2-libs bzip2
    liblzma liblzma5 xz-libs liblzma
    liblz4 liblz4-1 lz4-libs lz4-c
    libzstd libzstd1 libzstd zstd
    libsnappy libsnappy1v5 snappy snappy
    libexpat libexpat1 expat libexpat
    libxml2 libxml2 libxml2 libxml2
    libxslt libxslt1.1 libxslt libxslt
    libuuid libuuid1 libuuid libuuid
    libreadline libreadline8 readline readline
    libncurses libncurses6 ncurses-libs ncurses
    libncursesw libncursesw6 ncurses-libs ncurses
    libtinfo libtinfo6 ncurses-libs ncurses
    libcurl libcurl4 libcurl libcurl
    libgeos_c libgeos-c1v5 geos geos
    libgdal libgdal32 gdal-libs libgdal
    libproj libproj25 proj proj
    libspatialindex_c libspatialindex-c6 spatialindex libspatialindex
    libhdf5 libhdf5-103-1 hdf5 hdf5
    libnetcdf libnetcdf19 netcdf libnetcdf
    libeccodes libeccodes0 eccodes eccodes
    libudunits2 libudunits2-0 udunits2 udunits2
    libsndfile libsndfile1 libsndfile libsndfile
    libportaudio libportaudio2 portaudio portaudio
    libasound libasound2 alsa-lib alsa-lib
    libavcodec libavcodec59 ffmpeg-libs ffmpeg
    libjpeg libjpeg62-turbo libjpeg-turbo libjpeg-turbo
    libpng16 libpng16-16 libpng libpng
    libtiff libtiff6 libtiff libtiff
    libtesseract libtesseract5 tesseract tesseract
    libpoppler-cpp libpoppler-cpp0v5 poppler-cpp poppler
    libzbar libzbar0 zbar zbar
    libdmtx libdmtx0b libdmtx libdmtx
    libmagic libmagic1 file-libs libmagic
    libenchant-2 libenchant-2-2 enchant2 enchant
    libmecab libmecab2 mecab mecab
    libusb-1.0 libusb-1.0-0 libusbx libusb
    libudev libudev1 systemd-libs libudev
    libfuse libfuse2 fuse-libs -
    libzmq libzmq5 zeromq zeromq
    librdkafka librdkafka1 librdkafka librdkafka
    libsodium libsodium23 libsodium libsodium
    libgsl libgsl27 gsl gsl
    libmpi libopenmpi3 openmpi openmpi
    libR r-base-core R-core r-base
    libjvm default-jre-headless java-17-openjdk-headless openjdk
"""
_PIP = {
    "libcudart": "nvidia-cuda-runtime",
    "libcublas": "nvidia-cublas",
    "libcublasLt": "nvidia-cublas",
    "libcudnn": "nvidia-cudnn",
    "libcufft": "nvidia-cufft",
    "libcurand": "nvidia-curand",
    "libcusolver": "nvidia-cusolver",
    "libcusparse": "nvidia-cusparse",
    "libnccl": "nvidia-nccl",
    "libnvrtc": "nvidia-cuda-nvrtc",
    "libmkl_rt": "mkl",
}
"""Libraries that PyPI has; NVIDIA's names end with the CUDA version, as nvidia-cublas-cu12."""
_WITHOUT = {
    "opencv-python": "opencv-python-headless",
    "opencv-contrib-python": "opencv-contrib-python-headless",
    "psycopg2": "psycopg2-binary",
    "psycopg": "psycopg[binary]",
    "mysqlclient": "pymysql",
}
"""Distributions that need a library of the node -> what does the same without."""
_MODULES = {
    r"\bcv2\b": "opencv-python",
    r"\bpsycopg2\b": "psycopg2",
    r"\bpsycopg\b": "psycopg",
    r"\bMySQLdb\b": "mysqlclient",
}


@dataclass(frozen=True)
class Packages:
    """What has one library."""

    debian: str = ""
    rpm: str = ""
    conda: str = ""
    pip: str = ""


def packages(library: str) -> Packages:
    """What has a library, called as the loader calls it ("libGL.so.1"); empty if not known."""
    stem = stem_of(library)
    if stem in _PIP:
        cuda = stem != "libmkl_rt"
        return Packages(pip=_PIP[stem] + "-cu12" * cuda)
    for line in _TABLE.split("\n"):
        name, *found = line.split() or [""]
        if name == stem:
            debian, rpm, conda = ("" if one == "-" else one for one in found)
            return Packages(debian, rpm, conda)
    return Packages()


def stem_of(library: str) -> str:
    """A library's name without its version: "libGL" of "libGL.so.1"."""
    return re.split(r"\.so(?![a-z])", library, maxsplit=1)[0]


def how_to_have(names: Iterable[str], distribution: str = "") -> str:
    """What to do for libraries that a node lacks.

    Args:
        names: as the loader calls them.
        distribution: the one that needs them, if that is known.
    """
    wanted = tuple(dict.fromkeys(names))
    found = [packages(library) for library in wanted]
    debian, rpm, conda, pip = (
        tuple(dict.fromkeys(filter(None, (getattr(one, kind) for one in found))))
        for kind in ("debian", "rpm", "conda", "pip")
    )
    ways = []
    if distribution in _WITHOUT:
        ways.append(f'captain.add_pip_packages("{_WITHOUT[distribution]}") does without')
    if debian:
        ways.append(
            f"on each node: apt-get install {' '.join(debian)} (Debian), dnf install"
            f" {' '.join(rpm)} (RHEL, Fedora)"
        )
    if conda:
        ways.append(
            "with no right to install there, take it along:"
            f' captain.add_conda_packages({_strings(conda)}, channel="conda-forge")'
        )
    if pip:
        ways.append(f"take it along: captain.add_pip_packages({_strings(pip)})")
    if "libcuda" in map(stem_of, wanted):
        ways.append("run where nodes have a GPU and its driver, or a build for CPUs")
    unknown = [name for name, one in zip(wanted, found, strict=True) if one == Packages()]
    if unknown and not ways:
        ways.append(
            f"find what has {', '.join(unknown)} on the nodes' system (apt-file search, dnf"
            " provides), or take the Python package from conda: captain.add_conda_packages(NAME)"
        )
    return "; or ".join(ways)


def needs_one(text: str) -> str:
    """The distribution that needs a library, of those that there is another one for: as a traceback
    names its module; empty if it names none.
    """
    return next((name for module, name in _MODULES.items() if re.search(module, text)), "")


def _strings(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
