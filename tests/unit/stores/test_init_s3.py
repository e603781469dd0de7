"""What the check of the bucket says, answer by answer."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from init.init_s3 import REMEDIES, Settings, check, code_of, refusal
from runtime.errors import UserError


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


@pytest.fixture
def store() -> Iterator[Stubber]:
    client = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="key", aws_secret_access_key="hidden")
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


OWN = settings("http://127.0.0.1:9000")


def test_a_key_that_may_only_write_objects_is_enough(store: Stubber) -> None:
    store.add_response("put_object", {})
    store.add_response("delete_object", {})
    check(store.client, OWN)


def test_a_missing_bucket_is_created_in_a_store_of_one_s_own(store: Stubber) -> None:
    store.add_client_error("put_object", "NoSuchBucket", http_status_code=404)
    store.add_response("create_bucket", {})
    store.add_response("put_object", {})
    store.add_client_error("delete_object", "AccessDenied", http_status_code=403)
    check(store.client, OWN)


def test_a_bucket_that_another_start_has_just_created(store: Stubber) -> None:
    store.add_client_error("put_object", "NoSuchBucket", http_status_code=404)
    store.add_client_error("create_bucket", "BucketAlreadyOwnedByYou", http_status_code=409)
    store.add_response("put_object", {})
    store.add_response("delete_object", {})
    check(store.client, OWN)


def test_a_store_that_is_still_starting_is_asked_again(store: Stubber) -> None:
    store.add_client_error("put_object", "NoSuchBucket", http_status_code=404)
    store.add_client_error("create_bucket", "SlowDown", http_status_code=503)
    with pytest.raises(ClientError, match="SlowDown"):
        check(store.client, OWN)


@pytest.mark.parametrize(("chosen", "asked"), [(settings(), 1), (OWN, 2)])
def test_a_missing_bucket_that_cannot_be_created(store: Stubber, chosen: Settings, asked: int) -> None:
    store.add_client_error("put_object", "NoSuchBucket", http_status_code=404)
    if asked == 2:
        store.add_client_error("create_bucket", "AccessDenied", http_status_code=403)
    with pytest.raises(UserError, match="NoSuchBucket: create it"):
        check(store.client, chosen)
