"""The step that checks the bucket, against a real S3 server; AWS is the same server at the address that AWS's client is told."""

import os
import subprocess
import sys

import pytest

from local.settings import ROOT
from tests.support.settled import objects
from tests.support.stack import Stack

AT_AWS = "AWS, region us-east-1"


def check(stack: Stack, **changes: str) -> subprocess.CompletedProcess[str]:
    """As for AWS, unless S3_ENDPOINT is among the changes."""
    environment = {
        **os.environ,
        **stack.settings.s3.environment,
        "S3_ENDPOINT": "",
        "AWS_ENDPOINT_URL_S3": stack.s3_endpoint,
        **changes,
    }
    return subprocess.run(
        [sys.executable, "-m", "init.init_s3"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_bucket_that_takes_objects(stack: Stack) -> None:
    bucket = stack.settings.s3.bucket
    for changes, where in (({}, AT_AWS), ({"S3_ENDPOINT": stack.s3_endpoint}, stack.s3_endpoint)):
        done = check(stack, **changes)
        assert done.returncode == 0, done.stderr
        assert f"bucket {bucket} at {where} accepts objects" in done.stdout
    folder = stack.settings.folders.data / "s3" / bucket / stack.settings.s3.prefix
    assert not list(folder.glob("_*")), "nothing is left of the check"
    assert objects(stack, "no such topic") == []


def test_a_local_store_gets_its_bucket(stack: Stack) -> None:
    done = check(stack, S3_ENDPOINT=stack.s3_endpoint, S3_BUCKET="another-bucket")
    assert done.returncode == 0, done.stderr
    assert (stack.settings.folders.data / "s3" / "another-bucket").is_dir()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"S3_BUCKET": "no-such-bucket"}, "NoSuchBucket: create it (aws s3 mb s3://no-such-bucket --region us-east-1)"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "see MY_AWS_ACCESS_KEY_ID and MY_AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "see MY_AWS_ACCESS_KEY_ID and MY_AWS_SECRET_ACCESS_KEY"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY is not set"),
    ],
    ids=["no bucket", "wrong secret", "wrong key", "no secret"],
)
def test_what_s3_refuses_is_said_with_what_to_do(stack: Stack, changes: dict[str, str], said: str) -> None:
    done = check(stack, **changes)
    assert done.returncode == 1, done.stderr
    (line,) = done.stderr.splitlines()
    assert said in line
    assert stack.s3_secret_key not in line
    assert not (stack.settings.folders.data / "s3" / "no-such-bucket").exists()
