"""Creates the bucket in a local S3 store. Idempotent; waits for the store. Environment: S3_ENDPOINT, S3_BUCKET, AWS_*."""

import logging
import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

logger = logging.getLogger("init_s3")

STORE_SECONDS = 60


def main() -> int:
    """Returns the exit code."""
    endpoint, bucket = os.environ["S3_ENDPOINT"], os.environ["S3_BUCKET"]
    patience = Config(connect_timeout=3, retries={"total_max_attempts": 1})
    client = boto3.client("s3", endpoint_url=endpoint, region_name=os.environ["AWS_REGION"], config=patience)
    deadline = time.monotonic() + STORE_SECONDS
    while True:
        try:
            client.create_bucket(Bucket=bucket)
            logger.info("bucket %s is created", bucket)
            return 0
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                logger.info("bucket %s is there", bucket)
                return 0
            logger.error("bucket %s at %s could not be created: %s", bucket, endpoint, code)
            return 1
        except BotoCoreError as error:
            if time.monotonic() > deadline:
                logger.error(
                    "no S3 store answered at %s within %d s (%s)", endpoint, STORE_SECONDS, type(error).__name__
                )
                return 1
            time.sleep(0.5)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    sys.exit(main())
