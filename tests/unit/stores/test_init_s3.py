"""What the check of the bucket says, answer by answer."""

import pytest
from botocore.exceptions import ClientError

from init.init_s3 import REMEDIES, Settings, code_of, refusal


def settings(endpoint: str = "") -> Settings:
    return Settings.model_validate(
        {
            "s3_endpoint": endpoint or None,
            "s3_bucket": "mine",
            "aws_access_key_id": "key",
            "aws_secret_access_key": "hidden",
            "aws_region": "eu-west-1",
        }
    )


@pytest.mark.parametrize("code", [*REMEDIES, "SlowDown", "HTTP 301"])
def test_every_refusal_names_bucket_place_and_code(code: str) -> None:
    said = refusal(settings(), code)
    assert said.startswith(f"nothing can be written to the bucket mine at AWS, region eu-west-1: {code}: ")
    assert "{" not in said
    assert "hidden" not in said


def test_what_to_do_fits_the_refusal() -> None:
    assert "aws s3 mb s3://mine --region eu-west-1" in refusal(settings(), "NoSuchBucket")
    assert "s3:PutObject on mine/fraudulent-transactions/*" in refusal(settings(), "AccessDenied")
    assert "MY_AWS_REGION" in refusal(settings(), "PermanentRedirect")
    assert "bucket mine at http://127.0.0.1:9000" in refusal(settings("http://127.0.0.1:9000"), "NoSuchBucket")


def test_an_answer_without_a_code_has_its_status() -> None:
    assert code_of(ClientError({"Error": {"Code": "NoSuchBucket"}}, "PutObject")) == "NoSuchBucket"
    assert code_of(ClientError({"ResponseMetadata": {"HTTPStatusCode": 301}}, "PutObject")) == "HTTP 301"  # type: ignore[typeddict-item]
