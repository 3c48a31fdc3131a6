"""Names near to one that nobody knows. An index tells no names but all of its own, which are too
many to ask for: the driver's own packages, those of local folders and the best known ones are
looked through.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from coffee_boat.worker import modules

_MISSING = re.compile(
    r"(?<![\w.-])(?P<name>[A-Za-z0-9][\w.-]{0,199}) was not found in"
    r"|No candidates were found for (?P<conda>[A-Za-z0-9_][\w.-]{0,199})"
)
_LIKE = 0.75
_BEST_KNOWN = """
    aiohttp altair arrow attrs azure-storage-blob beautifulsoup4 biopython black bokeh boto3
    catboost click cloudpickle cryptography cython dask delta-spark duckdb edtf fastapi fastparquet
    fiona flask fsspec geopandas gensim great-expectations grpcio h3 hdbscan httpx huggingface-hub
    humanize hyperopt jax jinja2 joblib jsonschema keras koalas langchain lightgbm lxml matplotlib
    mlflow more-itertools mypy networkx nltk numba numexpr numpy openai opencv-python openpyxl
    orjson pandas pandera paramiko pillow plotly polars prophet protobuf psycopg psycopg2-binary
    pyarrow pydantic pymongo pymysql pyproj pytest python-dateutil pytorch-lightning pytz pyyaml
    rapidfuzz rasterio redis regex requests rich ruff s3fs scikit-image scikit-learn scipy seaborn
    sentence-transformers sentencepiece shap shapely six spacy spark-nlp sqlalchemy statsmodels
    sympy tenacity tensorflow tokenizers toolz torch torchvision tqdm transformers typing-extensions
    tzdata ujson umap-learn unidecode urllib3 wheel xarray xgboost xlrd xlsxwriter zstandard
"""


_CONDA = {
    "confluent-kafka": "python-confluent-kafka",
    "duckdb": "python-duckdb",
    "graphviz": "python-graphviz",
    "h3": "h3-py",
    "msgpack": "msgpack-python",
    "opencv-python": "opencv",
    "opencv-python-headless": "opencv",
    "psycopg2-binary": "psycopg2",
    "pytorch-lightning": "lightning",
    "redis": "redis-py",
    "ruamel-yaml": "ruamel.yaml",
    "tables": "pytables",
    "torch": "pytorch",
    "typing-extensions": "typing_extensions",
}
"""Name on PyPI, normalized -> on conda-forge, where they differ."""


def nearest(text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Names near to those that a text of uv's or of the conda solver says were not found, as that
    tool has them.

    Args:
        known: names that there are.
    """
    names = {canonicalize_name(name) for name in (*known, *_BEST_KNOWN.split())}
    near: list[str] = []
    for found in _MISSING.finditer(text):
        if missing := found["name"]:
            near += [] if canonicalize_name(missing) in names else _near(missing, names)
        else:
            near += _near_in_conda(found["conda"], names)
    return tuple(dict.fromkeys(near))


def _near_in_conda(missing: str, names: Collection[str]) -> list[str]:
    own = canonicalize_name(missing)
    if own in _CONDA:
        return [_CONDA[own]]
    if own in names:
        return []
    brought = modules.distribution(missing.replace("-", "_")).partition("conda:")[2]
    near = [brought] if brought else map(canonicalize_name, _near(missing, names))
    return [_CONDA.get(name, name) for name in near]


def _near(missing: str, names: Iterable[str]) -> list[str]:
    """Of a module that PyPI has under another name, that name."""
    brings = {
        distribution
        for module in dict.fromkeys([missing, missing.replace("-", "_"), missing.lower()])
        if (distribution := modules.distribution(module)) and ":" not in distribution
    }
    if brings:
        return sorted(brings)
    spelt: dict[str, str] = {
        **{str(canonicalize_name(name)): modules.distribution(name) for name in modules.known()},
        **{name: name for name in names},
    }
    found = difflib.get_close_matches(canonicalize_name(missing), sorted(spelt), n=2, cutoff=_LIKE)
    return [spelt[name] for name in found]


def in_folders(places: Iterable[str]) -> Iterator[str]:
    """Names of the distributions that lie in local folders, of `find_links`."""
    for place in places:
        folder = Path(unquote(urlsplit(place).path) if place.startswith("file:") else place)
        if folder.is_dir():
            yield from (path.name.partition("-")[0] for path in folder.glob("*-*.*"))
