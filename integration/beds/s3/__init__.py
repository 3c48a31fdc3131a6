"""An object store that speaks S3: versitygw, a server over a folder, and the jars by which Spark
reads it (s3a://).

python -m integration.beds.s3 up      # prints what to export: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID,
                                      AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION
python -m integration.beds.s3 down
"""

from integration.beds.s3.server import BUCKET, Options, Server, current, down, up

__all__ = ["BUCKET", "Options", "Server", "current", "down", "up"]
