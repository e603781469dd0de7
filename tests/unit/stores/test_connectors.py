"""The connectors' configurations agree with the contracts, and hold no credential."""

import json
import re
from pathlib import Path

import pytest

from contracts import topics
from contracts.connect_schema import is_number
from contracts.models import ROWS
from init import init_mongodb, init_s3
from local.connect import MONGODB_SINK
from local.s3_archiver.rules import object_name
from runtime.services import S3_PLUGIN

ROOT = Path(__file__).parents[3]
CONNECTORS = {path.stem: json.loads(path.read_text()) for path in (ROOT / "init" / "connectors").glob("*.json")}
WORKER = re.sub("(?m)^#.*", "", (ROOT / "kafka-connect" / "connect-distributed.properties").read_text())
SCRIPT = (ROOT / "init" / "init_kconnect.sh").read_text()

every_connector = pytest.mark.parametrize("config", CONNECTORS.values(), ids=CONNECTORS.keys())


def test_which_connectors_there_are() -> None:
    assert {name: config["connector.class"] for name, config in CONNECTORS.items()} == {
        "mongodb-transactions": MONGODB_SINK,
        "mongodb-users": MONGODB_SINK,
        "s3-transactions": S3_PLUGIN,
        "s3-users": S3_PLUGIN,
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
    for name in set(re.findall(r"\$\{(\w+)\}", json.dumps(config))) - {"ROW_SCHEMA", "TOPIC_INCARNATION"}:
        assert f'export {name}="${{{name}:-' in SCRIPT


def test_the_names_at_the_top_of_the_script_are_those_of_the_stores_init() -> None:
    top = dict(re.findall(r'export (\w+)="\$\{\w+:-(.*?)\}"', SCRIPT))
    mongodb, s3 = init_mongodb.Settings.model_fields, init_s3.Settings.model_fields
    for name in ("database", "transactions_collection", "users_collection"):
        assert top[f"MONGODB_{name.upper()}"] == mongodb[name].default
    assert top["S3_PREFIX"] == s3["s3_prefix"].default


@every_connector
def test_bad_records_go_to_the_dead_letters_and_into_no_log(config: dict[str, str]) -> None:
    assert config["errors.tolerance"] == "all"
    assert config["errors.deadletterqueue.topic.name"] in topics.DEAD_LETTERS
    assert config["errors.deadletterqueue.context.headers.enable"] == "true"
    assert config["errors.log.enable"] == config["errors.log.include.messages"] == "false"


@pytest.mark.parametrize("store", ["mongodb", "s3"])
def test_each_topic_of_rows_has_a_connector_to_each_store(store: str) -> None:
    connectors = {name: config for name, config in CONNECTORS.items() if name.startswith(f"{store}-")}
    assert sorted(config["topics"] for config in connectors.values()) == sorted(ROWS)
    for config in connectors.values():
        assert config["errors.deadletterqueue.topic.name"] == f"{store}-sink-dlq"


@every_connector
def test_the_converter_refuses_what_is_no_row(config: dict[str, str]) -> None:
    assert config["value.converter"] == "org.apache.kafka.connect.json.JsonConverter"
    assert config["value.converter.schemas.enable"] == "true"
    assert config["value.converter.schema.content"] == "${ROW_SCHEMA}"


@every_connector
def test_numbers_are_written_as_doubles(config: dict[str, str]) -> None:
    spec = ",".join(
        f"{name}:float64" for name, field in ROWS[config["topics"]].model_fields.items() if is_number(field)
    )
    assert config.get("transforms.amountToDouble.spec", "") == spec
    assert ("amountToDouble" in config["transforms"].split(",")) == bool(spec)


def test_the_s3_sink_names_its_objects_as_the_archiver_does() -> None:
    for topic in ROWS:
        (config,) = (
            one for one in CONNECTORS.values() if one["connector.class"] == S3_PLUGIN and one["topics"] == topic
        )
        assert config["file.name.timestamp.source"] == "event"
        assert config["file.name.timestamp.timezone"] == "UTC"
        assert config["file.max.records"] == "0"
        name = config["file.name.template"]
        for placeholder, value in {
            "${S3_PREFIX}": "prefix",
            "${TOPIC_INCARNATION}": "0a1b2c3d",
            "{{topic}}": topic,
            "{{timestamp:unit=yyyy}}": "2026",
            "{{timestamp:unit=MM}}": "11",
            "{{timestamp:unit=dd}}": "25",
            "{{partition}}": "3",
            "{{start_offset:padding=true}}": f"{42:020d}",
        }.items():
            name = name.replace(placeholder, value)
        assert name == object_name("prefix", topic, "2026-11-25", "0a1b2c3d", 3, 42)
