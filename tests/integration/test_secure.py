"""The whole stack on a secured broker: everything arrives, and whoever has no right to something is refused."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from contracts import topics
from local.rights import TOOLS
from local.secure import PLAIN, SCRAM, kafka_environment, password
from local.settings import ROOT
from runtime.kafka import SECURITY, client_config
from runtime.services import BANK, CONSOLE, INGESTOR, PROCESSOR
from tests.support.answers import answer_of, public_urls
from tests.support.expectation import SeededSet, expectation
from tests.support.settled import await_everything, stores_have_it_once
from tests.support.stack import Stack, running_stack, wait_until

pytestmark = pytest.mark.long
SET = SeededSet(count=600, rate=200)
SECONDS = 120
REFUSED_SECONDS = 10


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack") / "local", {**SET.environment, "KAFKA_SECURE": "1"}) as running:
        yield running


def test_everything_arrives_once(stack: Stack) -> None:
    expected = expectation(SET)
    await_everything(stack, expected, SECONDS)
    stores_have_it_once(stack, expected)


def test_the_stack_is_healthy(stack: Stack) -> None:
    """The console sees all topics and groups: what it may not see would be a fault."""
    stack.await_healthy(seconds=SECONDS)


def test_the_tools_get_in(stack: Stack) -> None:
    identity = next(iter(expectation(SET).results))
    wait_until(lambda: traced(stack, identity)["status"] == "done", SECONDS, "the trace says that it is done")
    replay = stack.start_sh("--replay-dlq", topics.BANK_TRANSACTIONS_DLQ, "--dry-run")
    assert replay.returncode == 0, replay.stderr
    command = [stack.settings.folders.base / "python", "-m", "simulators.send", "docs/transaction.json"]
    sent = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert sent.returncode == 0, sent.stderr
    assert json.loads(first_line(stack, "--topic", topics.BANK_TRANSACTIONS, "--from-beginning"))["transaction_id"]
    config = client_config(kafka_environment(stack.settings, TOOLS))
    consumer = Consumer(
        {**config, "group.id": "console-consumer-4711", "auto.offset.reset": "earliest"}
    )  # as Kafka's own
    consumer.subscribe([topics.USERS])
    wait_until(lambda: (message := consumer.poll(1)) is not None and not message.error(), SECONDS, "a record")
    consumer.close()
    printed = stack.start_sh("--ksql", f"PRINT '{topics.USERS}' FROM BEGINNING LIMIT 1;")
    assert "rowtime" in printed.stdout, printed.stderr


def traced(stack: Stack, identity: str) -> dict[str, Any]:
    return json.loads(stack.start_sh("--trace", identity, "--json").stdout)


def first_line(stack: Stack, *arguments: str) -> str:
    """What start.sh prints first; it would go on."""
    with subprocess.Popen(
        ["bash", ROOT / "start.sh", *arguments],
        env={**os.environ, **stack.environment},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout
            return process.stdout.readline()
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def delivery_error(environment: Mapping[str, str], topic: str) -> KafkaError | None:
    """Why the broker takes no record from this client."""
    errors: list[KafkaError | None] = []
    limit = {"message.timeout.ms": REFUSED_SECONDS * 1000, "log_level": 0}
    producer = Producer({**client_config(environment), **limit})
    producer.produce(topic, b"{}", on_delivery=lambda error, _: errors.append(error))
    producer.flush(2 * REFUSED_SECONDS)
    return errors[0]


def signing_in(environment: Mapping[str, str]) -> set[int]:
    """What goes wrong when this client looks for a broker."""
    errors: set[int] = set()
    client = Producer(
        {**client_config(environment), "error_cb": lambda error: errors.add(error.code()), "log_level": 0}
    )
    with pytest.raises(KafkaException):
        client.list_topics(timeout=REFUSED_SECONDS)
    client.poll(0)
    return errors


def test_nobody_gets_in_without_credentials(stack: Stack) -> None:
    known = kafka_environment(stack.settings, INGESTOR)
    nobody = {name: value for name, value in known.items() if name not in SECURITY}
    assert signing_in(nobody)
    assert signing_in({**known, "KAFKA_SASL_PASSWORD": "0" * 32}) >= {KafkaError._AUTHENTICATION}
    assert signing_in({**known, "KAFKA_SASL_USERNAME": "nobody"}) >= {KafkaError._AUTHENTICATION}


@pytest.mark.parametrize(
    ("user", "topic"),
    [
        (INGESTOR, topics.USERS),
        (INGESTOR, topics.BANK_TRANSACTIONS),
        (PROCESSOR, topics.FRAUDULENT_TRANSACTIONS),
        (BANK, topics.FRAUDULENT_TRANSACTIONS),
        (CONSOLE, topics.USERS),
    ],
)
def test_a_service_may_write_only_what_it_makes(stack: Stack, user: str, topic: str) -> None:
    error = delivery_error(kafka_environment(stack.settings, user), topic)
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_service_does_not_even_see_what_it_does_not_need(stack: Stack) -> None:
    client = Producer({**client_config(kafka_environment(stack.settings, INGESTOR)), "log_level": 0})
    found = {name: client.list_topics(name, timeout=REFUSED_SECONDS).topics[name].error for name in topics.ALL}
    assert found[topics.BANK_TRANSACTIONS] is None
    refused = found[topics.USERS]
    assert refused is not None
    assert refused.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_nobody_takes_the_place_of_a_service_in_its_group(stack: Stack) -> None:
    config = client_config(kafka_environment(stack.settings, TOOLS))
    consumer = Consumer({**config, "group.id": INGESTOR, "log_level": 0})
    consumer.subscribe([topics.BANK_TRANSACTIONS])
    message = consumer.poll(REFUSED_SECONDS)
    consumer.close()
    assert message is not None
    assert (error := message.error()) is not None
    assert error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_no_password_is_told(stack: Stack) -> None:
    folders = stack.settings.folders
    passwords = {password(folders, user) for user in (*PLAIN, *SCRAM)}
    assert len(passwords) == len(PLAIN) + len(SCRAM)
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    answers = {
        **dict(enumerate(commands)),
        **{str(file): file.read_text(errors="replace") for file in folders.logs.iterdir()},
        **{url: answer_of(url) for url in public_urls(stack)},
    }
    assert {place for place, text in answers.items() if any(one in text for one in passwords)} == set()
    holders = [
        file
        for file in folders.base.rglob("*")
        if file.is_file() and file.parts[len(folders.base.parts)] != "data"
        if any(one.encode() in file.read_bytes() for one in passwords)
    ]
    assert {oct(file.stat().st_mode & 0o777) for file in holders} == {oct(0o600)}
