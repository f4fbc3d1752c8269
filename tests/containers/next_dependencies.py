"""Uses, in the production image, the libraries that projects add first."""

import contextlib
import io

import boto3
import celery
import httpx
import numpy
import redis
import sentry_sdk
from cryptography.fernet import Fernet
from lxml import etree
from PIL import Image
from rest_framework.renderers import JSONRenderer


def three():
    """A task."""
    return 3


Image.new("RGB", (8, 8)).save(io.BytesIO(), "JPEG")
assert JSONRenderer().render({"a": 1}) == b'{"a":1}'
app = celery.Celery(broker="memory://", backend="cache+memory://")
app.conf.task_always_eager = True
assert app.task(three).delay().get() == 3
with contextlib.suppress(redis.ConnectionError):
    redis.Redis("127.0.0.1", 1).ping()
sentry_sdk.init(dsn="http://key@127.0.0.1:1/1")
key = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
client = boto3.client("s3", region_name="eu-central-1", **key)
assert "Signature=" in client.generate_presigned_url("list_buckets")
assert etree.fromstring("<a><b/></a>").xpath("count(//b)") == 1
assert numpy.linalg.inv(numpy.eye(3)).sum() == 3
with contextlib.suppress(httpx.ConnectError):
    httpx.get("https://127.0.0.1:1")
fernet = Fernet(Fernet.generate_key())
assert fernet.decrypt(fernet.encrypt(b"secret")) == b"secret"
print("all work")
