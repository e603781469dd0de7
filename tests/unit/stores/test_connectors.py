"""The connectors' configurations agree with the contracts, and hold no credential."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from contracts import topics
from contracts.models import TransactionResult, UserRow
from local.connect_plugins import MONGODB_SINK, S3_SINK
from local.s3_archiver.rows import object_name

ROOT = Path(__file__).parents[3]
CONNECTORS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "init" / "connectors").glob("*.json")}
WORKER = re.sub("(?m)^#.*", "", (ROOT / "kafka-connect" / "connect-distributed.properties").read_text())
SCRIPT = (ROOT / "init" / "init_kconnect.sh").read_text()

every_connector = pytest.mark.parametrize("config", CONNECTORS.values(), ids=CONNECTORS.keys())


def test_which_connectors_there_are() -> None:
    assert {name: config["connector.class"] for name, config in CONNECTORS.items()} == {
        "mongodb-transactions": MONGODB_SINK,
        "mongodb-users": MONGODB_SINK,
        "s3-sink": S3_SINK,
    }


@every_connector
def test_credentials_are_references(config: dict[str, str]) -> None:
    secret = [name for name in config if re.search(r"uri|key\.id|access\.key|password", name)]
    assert secret
    assert all(re.fullmatch(r"\$\{env:[A-Z_]+\}", config[name]) for name in secret)


@every_connector
def test_the_worker_may_resolve_every_reference(config: dict[str, str]) -> None:
    match = re.search(r"allowlist\.pattern=(.*)", WORKER)
    assert match
    references = re.findall(r"\$\{env:(\w+)\}", json.dumps(config) + WORKER)
    assert references
    assert all(re.fullmatch(match[1], name) for name in references)


@every_connector
def test_every_other_placeholder_is_set_at_the_top_of_the_script(config: dict[str, str]) -> None:
    for name in re.findall(r"\$\{(\w+)\}", json.dumps(config)):
        assert f'export {name}="${{{name}:-' in SCRIPT


@every_connector
def test_bad_records_go_to_the_dead_letters_and_into_no_log(config: dict[str, str]) -> None:
    assert config["errors.tolerance"] == "all"
    assert config["errors.deadletterqueue.topic.name"] in topics.DEAD_LETTERS
    assert config["errors.deadletterqueue.context.headers.enable"] == "true"
    assert config["errors.log.enable"] == config["errors.log.include.messages"] == "false"


@pytest.mark.parametrize(
    ("name", "topic", "model"),
    [
        ("mongodb-transactions", topics.FRAUDULENT_TRANSACTIONS_RESULT, TransactionResult),
        ("mongodb-users", topics.USERS, UserRow),
    ],
)
def test_the_mongodb_sink_takes_the_contracts_fields_with_their_types(
    name: str, topic: str, model: type[BaseModel]
) -> None:
    config = CONNECTORS[name]
    assert config["topics"] == topic
    assert config["transforms.contractFields.include"] == ",".join(model.model_fields)
    types = {field: "float64" if is_number(info.annotation) else "string" for field, info in model.model_fields.items()}
    assert config["transforms.contractTypes.spec"] == ",".join(f"{field}:{kind}" for field, kind in types.items())
    assert config["errors.deadletterqueue.topic.name"] == topics.MONGODB_SINK_DLQ


def is_number(annotation: Any) -> bool:
    return annotation is float or float in get_args(annotation)


def test_the_s3_sink_and_the_archiver_write_the_same_layout() -> None:
    config = CONNECTORS["s3-sink"]
    assert config["topics"].split(",") == [topics.FRAUDULENT_TRANSACTIONS_RESULT, topics.USERS]
    assert config["errors.deadletterqueue.topic.name"] == topics.S3_SINK_DLQ
    name = config["file.name.template"]
    for placeholder, value in {
        "${S3_PREFIX}": "prefix",
        "{{topic}}": "users",
        "{{partition}}": "3",
        "{{start_offset:padding=true}}": f"{42:020d}",
    }.items():
        name = name.replace(placeholder, value)
    assert name == object_name("prefix", "users", 3, 42)
