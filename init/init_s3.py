"""Checks that objects can be written to the bucket, before anything else waits for it; creates the bucket in a local store.

Idempotent; waits for a local store. At AWS no bucket is created: its name, its region and who may read it are its owner's
affair. The check is an object of no bytes, which is removed again where the key may do that.

Environment: S3_ENDPOINT (empty: AWS), S3_BUCKET, S3_PREFIX (fraudulent-transactions), AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION.
"""

import logging
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the script is run by its path

from contracts.kafka import SettingsError
from contracts.service import Environment, load_settings

logger = logging.getLogger("init_s3")

STORE_SECONDS = 60
# Hidden from Athena and from crawlers by its first letter.
CHECK = "_write-check"

WRONG_KEY = "the access key id or the secret is wrong: see MY_AWS_ACCESS_KEY_ID and MY_AWS_SECRET_ACCESS_KEY"
OTHER_REGION = "the bucket is in another region: see MY_AWS_REGION"
# By S3's error code, what to do.
REMEDIES = {
    "NoSuchBucket": "create it (aws s3 mb s3://{bucket} --region {region}), or set S3_BUCKET to one that there is",
    "AccessDenied": "allow this key s3:PutObject on {bucket}/{prefix}/*, or set S3_BUCKET to one of your own",
    "InvalidAccessKeyId": WRONG_KEY,
    "SignatureDoesNotMatch": WRONG_KEY,
    "PermanentRedirect": OTHER_REGION,
    "AuthorizationHeaderMalformed": OTHER_REGION,
    "IllegalLocationConstraintException": OTHER_REGION,
    "InvalidBucketName": "S3_BUCKET is no name that a bucket can have",
}


class Settings(Environment):
    """The names that the services have for the same."""

    s3_endpoint: str | None = None
    s3_bucket: str
    s3_prefix: str = "fraudulent-transactions"
    aws_access_key_id: str
    aws_secret_access_key: SecretStr
    aws_region: str

    @property
    def where(self) -> str:
        return self.s3_endpoint or f"AWS, region {self.aws_region}"


def main() -> None:
    """Raises SettingsError that says what S3 has refused, and what to do."""
    settings = load_settings(Settings)
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.aws_region,
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=settings.aws_secret_access_key.get_secret_value(),
        config=Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1}),
    )
    deadline = time.monotonic() + STORE_SECONDS
    while True:
        try:
            if settings.s3_endpoint:
                _create(client, settings.s3_bucket)
            _check(client, settings)
            logger.info("bucket %s at %s takes objects", settings.s3_bucket, settings.where)
            return
        except ClientError as error:
            code = code_of(error)
            if code not in REMEDIES and status_of(error) >= 500:
                _wait(deadline, settings, code)
                continue
            raise SettingsError(refusal(settings, code)) from None
        except BotoCoreError as error:
            _wait(deadline, settings, type(error).__name__)


def refusal(settings: Settings, code: str) -> str:
    """What S3 has refused, and what to do."""
    remedy = REMEDIES.get(code, "see what S3 says of this code").format(
        bucket=settings.s3_bucket, prefix=settings.s3_prefix, region=settings.aws_region
    )
    return f"nothing can be written to the bucket {settings.s3_bucket} at {settings.where}: {code}: {remedy}"


def code_of(error: ClientError) -> str:
    """S3's own code, or the status of an answer that has none."""
    return error.response.get("Error", {}).get("Code") or f"HTTP {status_of(error)}"


def status_of(error: ClientError) -> int:
    """The HTTP status of S3's answer."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _create(client: Any, bucket: str) -> None:
    try:
        client.create_bucket(Bucket=bucket)
        logger.info("bucket %s is created", bucket)
    except ClientError as error:
        if code_of(error) not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise


def _check(client: Any, settings: Settings) -> None:
    place = {"Bucket": settings.s3_bucket, "Key": f"{settings.s3_prefix}/{CHECK}"}
    client.put_object(**place, Body=b"")
    with suppress(ClientError):  # whoever may write need not be one who may delete
        client.delete_object(**place)


def _wait(deadline: float, settings: Settings, problem: str) -> None:
    if time.monotonic() > deadline:
        raise SettingsError(
            f"no S3 store answered at {settings.where} within {STORE_SECONDS} s ({problem}): "
            "is it running, and can it be reached from here?"
        )
    time.sleep(0.5)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        main()
    except SettingsError as error:
        logger.error("%s", error)
        sys.exit(1)
