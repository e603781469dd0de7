"""The archiver's settings, in the environment's usual names for S3."""

from typing import Annotated

from pydantic import Field, SecretStr

from runtime import services
from runtime.service import Environment

SERVICE = services.ARCHIVER

Seconds = Annotated[int, Field(ge=1, le=3_600)]


class Settings(Environment):
    """Without S3_ENDPOINT the target is AWS. ARCHIVE_INTERVAL_SECONDS is the longest time that a row waits to be written."""

    s3_endpoint: str | None = None
    s3_bucket: str
    s3_prefix: str
    aws_access_key_id: str
    aws_secret_access_key: SecretStr
    aws_region: str
    archive_interval_seconds: Seconds = 5
