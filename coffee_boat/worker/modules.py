"""What brings a module: the distribution on PyPI, or why no package does. The driver and the
executors say it from here.

The pairs are those of pipreqs' list (Apache-2.0) that still hold, and what the projects' own pages
say; the parts of Python are those of PEP 594, PEP 632 and "What's New In Python" 3.12 and 3.13.
"""

from __future__ import annotations

import re

_NAMES = """
    _cffi_backend=cffi _yaml=pyyaml absl=absl-py aifc=standard-aifc
    airflow.providers.*=apache-airflow-providers-* airflow.providers=? airflow=apache-airflow
    aliyunsdkcore=aliyun-python-sdk-core antlr4=antlr4-python3-runtime
    apiclient=google-api-python-client arango=python-arango asynchat=pyasynchat
    asyncore=pyasyncore attr=attrs audioop=audioop-lts auth0=auth0-python azure.*=azure-*
    azure.ai.*=azure-ai-* azure.ai=? azure.communication.*=azure-communication-*
    azure.communication=? azure.data.*=azure-data-* azure.data=?
    azure.datalake=azure-datalake-store azure.keyvault.*=azure-keyvault-* azure.keyvault=?
    azure.kusto.*=azure-kusto-* azure.kusto=azure-kusto-data azure.mgmt.*=azure-mgmt-*
    azure.mgmt=? azure.monitor.*=azure-monitor-* azure.monitor=?
    azure.search=azure-search-documents azure.storage.*=azure-storage-*
    azure.storage.filedatalake=azure-storage-file-datalake
    azure.storage.fileshare=azure-storage-file-share azure.storage=? azure=?
    azureml.core=azureml-core backports.*=backports.* backports=? bayes_opt=bayesian-optimization
    bs4=beautifulsoup4 bson=pymongo cairo=conda:pycairo can=python-can cassandra=cassandra-driver
    cgi=legacy-cgi cgitb=legacy-cgi chunk=standard-chunk cld2=pycld2 consul=python-consul
    crontab=python-crontab Crypto=pycryptodome Cryptodome=pycryptodomex cups=pycups curl=pycurl
    cv2=opencv-python-headless daemon=python-daemon databricks.connect=databricks-connect
    databricks.koalas=koalas databricks.labs.dqx=databricks-labs-dqx databricks.sdk=databricks-sdk
    databricks.sql=databricks-sql-connector databricks=? dateutil=python-dateutil
    decouple=python-decouple delta=delta-spark discord=discord.py distutils=setuptools
    dns=dnspython docx=python-docx dogpile=dogpile.cache dotenv=python-dotenv ee=earthengine-api
    elftools=pyelftools enchant=pyenchant engineio=python-engineio faiss=faiss-cpu
    ffmpeg=ffmpeg-python fitz=pymupdf frontmatter=python-frontmatter gi=conda:pygobject
    git=GitPython github=PyGithub gitlab=python-gitlab google.adk=google-adk google.ads=google-ads
    google.api=googleapis-common-protos google.api_core=google-api-core google.auth=google-auth
    google.cloud.*=google-cloud-* google.cloud.client=google-cloud-core
    google.cloud.containeranalysis=google-cloud-containeranalysis
    google.cloud.dataflow=google-cloud-dataflow-client
    google.cloud.documentai=google-cloud-documentai
    google.cloud.error_reporting=google-cloud-error-reporting
    google.cloud.exceptions=google-cloud-core google.cloud.ndb=google-cloud-ndb
    google.cloud.pubsublite=google-cloud-pubsublite
    google.cloud.secretmanager=google-cloud-secret-manager
    google.cloud.sql=cloud-sql-python-connector google.cloud=? google.genai=google-genai
    google.generativeai=google-generativeai google.longrunning=googleapis-common-protos
    google.oauth2=google-auth google.protobuf=protobuf
    google.resumable_media=google-resumable-media google.rpc=googleapis-common-protos
    google.type=googleapis-common-protos google=? googleapiclient=google-api-python-client
    graphql=graphql-core gridfs=pymongo grpc=grpcio grpc_health=grpcio-health-checking
    grpc_reflection=grpcio-reflection grpc_status=grpcio-status grpc_tools=grpcio-tools
    hamcrest=PyHamcrest hydra=hydra-core ibm_boto3=ibm-cos-sdk imblearn=imbalanced-learn
    imghdr=standard-imghdr imp=zombie-imp impala=impyla jaraco.*=jaraco.* jaraco=? jnius=pyjnius
    jose=python-jose jpype=jpype1 jwt=PyJWT kafka=kafka-python kernprof=line_profiler
    ldap=python-ldap libcloud=apache-libcloud llama_cpp=llama-cpp-python magic=python-magic
    mailcap=standard-mailcap markdown_it=markdown-it-py memcache=python-memcached
    mimeparse=python-mimeparse mpl_toolkits.basemap=basemap mpl_toolkits=matplotlib
    mysql.connector=mysql-connector-python MySQLdb=mysqlclient nacl=PyNaCl
    nntplib=standard-nntplib odf=odfpy ogr=conda:gdal OpenGL=PyOpenGL OpenSSL=pyOpenSSL
    opentelemetry.exporter.otlp=opentelemetry-exporter-otlp
    opentelemetry.instrumentation.*=opentelemetry-instrumentation-*
    opentelemetry.instrumentation=? opentelemetry.sdk=opentelemetry-sdk
    opentelemetry=opentelemetry-api osgeo=conda:gdal paho=paho-mqtt past=future
    pdfminer=pdfminer.six PIL=pillow pipes=standard-pipes pkg_resources=setuptools<82
    playhouse=peewee png=pypng pptx=python-pptx progressbar=progressbar2 psycopg2=psycopg2-binary
    pwiz=peewee pycrfsuite=python-crfsuite pydispatch=PyDispatcher pylab=matplotlib
    pynvml=nvidia-ml-py pythoncom=pywin32 pythonjsonlogger=python-json-logger pywintypes=pywin32
    pyximport=Cython rapidjson=python-rapidjson readability=readability-lxml
    rest_framework=djangorestframework robot=robotframework ruamel.yaml=ruamel.yaml
    ruamel=ruamel.yaml saml2=pysaml2 sass=libsass sedona=apache-sedona serial=pyserial
    shapefile=pyshp skbio=scikit-bio skimage=scikit-image sklearn=scikit-learn
    skopt=scikit-optimize slugify=python-slugify smtpd=aiosmtpd snappy=python-snappy
    sndhdr=standard-sndhdr snowflake.connector=snowflake-connector-python
    snowflake.snowpark=snowflake-snowpark-python snowflake.sqlalchemy=snowflake-sqlalchemy
    snowflake=? socketio=python-socketio socks=PySocks sparknlp=spark-nlp
    speech_recognition=SpeechRecognition sphinxcontrib.*=sphinxcontrib-* sphinxcontrib=?
    stdnum=python-stdnum Stemmer=PyStemmer storages=django-storages sunau=standard-sunau
    surprise=scikit-surprise swiftclient=python-swiftclient synapse.ml=synapseml taglib=pytaglib
    talib=TA-Lib telebot=pyTelegramBotAPI telegram=python-telegram-bot
    telnetlib=standard-telnetlib tlz=toolz twitter=python-twitter umap=umap-learn usb=pyusb
    uu=standard-uu validate=configobj weaviate=weaviate-client websocket=websocket-client
    whisper=openai-whisper win32api=pywin32 win32com=pywin32 win32con=pywin32 winrm=pywinrm
    wx=wxPython xdg=pyxdg xdist=pytest-xdist xdrlib=standard-xdrlib Xlib=python-xlib yaml=PyYAML
    zmq=pyzmq zope.*=zope.* zope=?
"""
"""Module=distribution, where PyPI has it under another name. `?` is a folder that many
distributions share; `*` is one part of a dotted name; `conda:` is a package of conda-forge, where
PyPI has no wheels.
"""
_DESKTOP = {"tkinter", "_tkinter", "turtle", "turtledemo", "idlelib"}
_GONE = """
    aifc asynchat asyncore audioop cgi cgitb chunk distutils imghdr imp mailcap nntplib pipes smtpd
    sndhdr sunau telnetlib uu xdrlib
"""
"""Parts of Python until 3.11 or 3.12, that PyPI has copies of."""
_LEFT_OUT = """
    _crypt _dbm _gdbm crypt ensurepip lib2to3 msilib nis ossaudiodev pydoc_data readline spwd
"""
"""Parts of Python that do not travel (interpreter/parts.py), or that newer ones do not have."""
_COMPILED = """
    _bz2 _ctypes _curses _curses_panel _decimal _hashlib _lzma _sqlite3 _ssl _uuid _zstd zlib
"""
"""Parts that a Python is built without where a library was not there."""
PARTS = "|".join(sorted([*_DESKTOP, *_GONE.split(), *_LEFT_OUT.split(), *_COMPILED.split()]))
"""Of Python, as alternatives of an expression."""
SHARED = "airflow|azure|backports|databricks|google|jaraco|opentelemetry|snowflake|zope"
"""Folders at the top that many distributions share, likewise."""
_CONDA = "conda:"
_VERSION = re.compile(r"_v\d\w*$")
"""Of an API: google.cloud.pubsub_v1 lies in google-cloud-pubsub."""


def distribution(module: str) -> str:
    """What to ask a package index for, to have a module; empty if that is not known, and the
    module's own name may be it.

    Args:
        module: dotted; the longest part of it that is known counts.
    """
    said = _said(module)
    return "" if said == "?" else said


def command(module: str) -> str:
    """What to type, to have a module that is no file of one's own."""
    said = distribution(module)
    if said.startswith(_CONDA):
        return f'captain.add_conda_packages("{said[len(_CONDA) :]}", channel="conda-forge")'
    return f'captain.add_pip_packages("{said or module.partition(".")[0]}")'


def known() -> tuple[str, ...]:
    """Modules at the top whose distribution of PyPI is known, and is called otherwise."""
    return tuple(
        name
        for name, said in _table().items()
        if "." not in name and said != "?" and not said.startswith(_CONDA)
    )


def is_shared(module: str) -> bool:
    """True for a folder that many distributions share, and that says nothing by itself."""
    return _said(module) == "?"


def about_python(module: str) -> tuple[str, str]:
    """Why a part of Python itself is not there, and what to do; empty for any other module."""
    top = module.partition(".")[0]
    cause = cure = ""
    if top in _DESKTOP:
        cause = "it is a part of Python that needs a screen, and is not shipped"
        cure = (
            'do without it in functions (matplotlib: matplotlib.use("Agg")); or take the Python of'
            ' conda, which has it: captain.add_conda_packages("python", "tk")'
        )
    elif top in _GONE.split():
        cause = "newer Pythons do not have this part any more, and an old package imports it"
        cure = (
            "take a newer version of that package, or what has the part on PyPI:"
            f' {command(top)}; or an older Python: Captain(python="3.11")'
        )
    elif top in _LEFT_OUT.split():
        cause = "it is a part of Python that is not shipped, or that newer Pythons do not have"
        cure = "do without it in functions"
    elif top in _COMPILED.split():
        cause = "it is a part of Python that this one was built without: a library was missing"
        cure = 'ship a standalone Python: Captain(python="3.X")'
    return cause, cure


def _table() -> dict[str, str]:
    if not _TABLE:
        _TABLE.update({pair.partition("=")[0]: pair.partition("=")[2] for pair in _NAMES.split()})
    return _TABLE


_TABLE: dict[str, str] = {}
"""Read when it is first needed: interpreters start without it."""


def _said(module: str) -> str:
    parts, table = module.split("."), _table()
    for end in range(len(parts), 0, -1):
        exact = table.get(".".join(parts[:end]))
        star = table.get(".".join([*parts[: end - 1], "*"])) if end > 1 else None
        if exact is not None:
            return exact
        if star is not None:
            return star.replace("*", _VERSION.sub("", parts[end - 1]).replace("_", "-"))
    return ""
