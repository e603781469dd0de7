"""Checks that objects can be written to the bucket, before anything else depends on it; creates the bucket in a local store.

Idempotent; waits for a local store. On AWS no bucket is created: its name, its region and who may read it are up to its owner.
The check writes an empty object, and deletes it again if the key has permission to.

Environment: S3_ENDPOINT (empty: AWS), S3_BUCKET, S3_PREFIX (fraudulent-transactions), AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION.
"""

import logging
from contextlib import suppress
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from runtime.errors import UserError
from runtime.service import Environment, load_settings, run_command
from runtime.waiting import until

logger = logging.getLogger("init_s3")

STORE_SECONDS = 60
# The leading underscore hides it from Athena and from crawlers.
CHECK = "_write-check"

WRONG_KEY = "the access key id or the secret is wrong: see MY_AWS_ACCESS_KEY_ID and MY_AWS_SECRET_ACCESS_KEY"
OTHER_REGION = "the bucket is in another region: see MY_AWS_REGION"
# What to do, by S3's error code.
REMEDIES = {
    "NoSuchBucket": "create it (aws s3 mb s3://{bucket} --region {region}), or set S3_BUCKET to an existing one",
    "AccessDenied": "allow this key s3:PutObject on {bucket}/{prefix}/*, or set S3_BUCKET to one of your own",
    "InvalidAccessKeyId": WRONG_KEY,
    "SignatureDoesNotMatch": WRONG_KEY,
    "PermanentRedirect": OTHER_REGION,
    "AuthorizationHeaderMalformed": OTHER_REGION,
    "IllegalLocationConstraintException": OTHER_REGION,
    "InvalidBucketName": "S3_BUCKET is not a valid bucket name",
}


class Settings(Environment):
    """The same variable names as in the services."""

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
    """Run the check. Raises UserError with what S3 has refused, and what to do."""
    settings = load_settings(Settings)
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.aws_region,
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=settings.aws_secret_access_key.get_secret_value(),
        config=Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1}),
    )
    until(
        lambda: check(client, settings),
        STORE_SECONDS,
        f"no S3 store answered at {settings.where}",
        (ClientError, BotoCoreError),
        reason=lambda error: code_of(error) if isinstance(error, ClientError) else type(error).__name__,
        remedy="is it running, and can it be reached from here?",
    )
    logger.info("bucket %s at %s accepts objects", settings.s3_bucket, settings.where)


def refusal(settings: Settings, code: str) -> str:
    """What S3 has refused, and what to do."""
    remedy = REMEDIES.get(code, "see S3's documentation of this code").format(
        bucket=settings.s3_bucket, prefix=settings.s3_prefix, region=settings.aws_region
    )
    return f"nothing can be written to the bucket {settings.s3_bucket} at {settings.where}: {code}: {remedy}"


def code_of(error: ClientError) -> str:
    """S3's own code, or the status of an answer that has none."""
    return error.response.get("Error", {}).get("Code") or f"HTTP {status_of(error)}"


def status_of(error: ClientError) -> int:
    """The HTTP status of S3's answer."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _put(client: Any, key: dict[str, str], create: bool) -> None:
    try:
        client.put_object(**key, Body=b"")
    except client.exceptions.NoSuchBucket as missing:
        if not create:
            raise
        try:
            client.create_bucket(Bucket=key["Bucket"])
            logger.info("created bucket %s", key["Bucket"])
        except ClientError as error:
            if status_of(error) >= 500:  # it is starting
                raise
            if status_of(error) != 409:  # else another start was quicker
                raise missing from None  # a key need not be allowed to create one
        client.put_object(**key, Body=b"")


def check(client: Any, settings: Settings) -> None:
    """Write an object. Raises UserError when S3 refuses it for good, and the client's own error when S3 may accept it later."""
    key = {"Bucket": settings.s3_bucket, "Key": f"{settings.s3_prefix}/{CHECK}"}
    try:
        _put(client, key, create=settings.s3_endpoint is not None)
    except ClientError as error:
        code = code_of(error)
        if code in REMEDIES or status_of(error) < 500:
            raise UserError(refusal(settings, code)) from None
        raise
    with suppress(ClientError):  # a key that may write need not be allowed to delete
        client.delete_object(**key)


if __name__ == "__main__":
    run_command(main)
