"""Creates the topics, and corrects the settings of existing ones. Idempotent; exits with an error when it cannot.

Environment: KAFKA_BOOTSTRAP_SERVER (and the usual security settings), TOPIC_PARTITIONS (6), TOPIC_REPLICATION_FACTOR (as the
cluster has it by default).
"""

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Annotated

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from pydantic import Field

from contracts import topics
from runtime.errors import UserError
from runtime.kafka import client_config
from runtime.lost import Admin
from runtime.service import Environment, load_settings, run_command
from runtime.waiting import until

logger = logging.getLogger("init_kafka")

BROKER_SECONDS = 60
SECONDS = 20.0  # for one request
MIB = 1024 * 1024
# In Kafka's protocol: the cluster's default.
CLUSTER_DEFAULT = -1
# A bank may send a record that is far too large: the topic has to accept it, so that it can become a dead letter with a reason.
# Dead letters have headers on top of the original record.
MAX_MESSAGE_BYTES = {topics.BANK_TRANSACTIONS: 8 * MIB} | dict.fromkeys(topics.DEAD_LETTERS, 9 * MIB)


class Settings(Environment, env_prefix="TOPIC_"):
    """One partition count for all topics: ksqlDB requires its inputs and outputs to have the same."""

    # A broker rejects a request for more than 10,000 partitions, and all topics are created in one request.
    partitions: Annotated[int, Field(ge=1, le=900)] = 6
    replication_factor: Annotated[int, Field(ge=1, le=100)] | None = None


DAY_MS = 24 * 3600 * 1000


def topic_config(name: str) -> dict[str, str]:
    """A topic's own settings: not compacted, 7 days (a compacted `users` topic would stop a ksqlDB query at a null key).

    The 7 days count from when a record was written. If the stages passed on the bank's timestamps, an old transaction could
    expire before the next stage has read it. Notes of replays never expire: dead letters may be kept longer than planned.
    """
    if name == topics.DLQ_REPLAYS:
        return {"cleanup.policy": "compact"}
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(topics.RETENTION_SECONDS * 1000),
        # Only a segment that is closed can expire. By default it is open for 7 days where little comes: its first record would be
        # kept for 14.
        "segment.ms": str(DAY_MS),
        "message.timestamp.type": "LogAppendTime",
    }
    if name in MAX_MESSAGE_BYTES:
        config["max.message.bytes"] = str(MAX_MESSAGE_BYTES[name])
    return config


def differences(name: str, config: Mapping[str, str]) -> dict[str, str]:
    """The settings of an existing topic that have to change, with their new values."""
    return {key: value for key, value in topic_config(name).items() if config.get(key) != value}


def partition_problems(settings: Settings, partitions: Mapping[str, int]) -> list[str]:
    """The topics that have fewer partitions than they should."""
    return [
        f"topic {name} has {count} partitions, not {settings.partitions}"
        for name, count in partitions.items()
        if count < settings.partitions
    ]


def partition_warnings(settings: Settings, partitions: Mapping[str, int]) -> list[str]:
    """Warnings about topics that somebody has added partitions to."""
    more = [name for name, count in partitions.items() if count > settings.partitions]
    found = [
        f"topic {name} has {partitions[name]} partitions, more than TOPIC_PARTITIONS={settings.partitions}: they are used"
        for name in more
    ]
    most = max(partitions.values(), default=0)
    fewer = [name for name, count in partitions.items() if count < most and name in topics.ALL]
    if more and fewer:
        found.append(
            f"ksqlDB needs the same number of partitions on all topics: give {', '.join(fewer)} {most} too "
            f"(kafka-topics --alter --topic NAME --partitions {most})"
        )
    return found


def main() -> None:
    """Create missing topics, correct existing ones."""
    settings = load_settings(Settings)
    kafka = Admin(client_config() | {"client.id": "init-kafka"}, logging.getLogger("kafka"))
    until(
        lambda: _make_or_correct(kafka, settings),
        BROKER_SECONDS,
        f"no broker answered at {client_config()['bootstrap.servers']}",
        KafkaException,
        reason=lambda error: error.args[0].str(),
        remedy="is it running, and is KAFKA_BOOTSTRAP_SERVER right?",
    )


def _make_or_correct(kafka: Admin, settings: Settings) -> None:
    """Raises KafkaException when no broker answers, and UserError when it refuses something."""
    wanted = [
        NewTopic(name, settings.partitions, settings.replication_factor or CLUSTER_DEFAULT, config=topic_config(name))
        for name in topics.CREATED
    ]
    existing = []
    with kafka.client() as admin:
        admin.list_topics(timeout=5)  # it fails sooner than the others when there is no broker
        for name, future in admin.create_topics(wanted, request_timeout=SECONDS).items():
            with _refused(f"topic {name} could not be created"):
                try:
                    future.result()
                    logger.info("created %s", name)
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise
                    existing.append(name)
        if existing:
            _check_partitions(admin, settings)
            _configure(admin, existing)
    logger.info("all %d topics exist, %d of them new", len(topics.CREATED), len(topics.CREATED) - len(existing))


def _check_partitions(admin: AdminClient, settings: Settings) -> None:
    known = admin.list_topics(timeout=SECONDS).topics
    counts = {name: len(known[name].partitions) for name in topics.CREATED if name in known}
    for warning in partition_warnings(settings, counts):
        logger.warning("%s", warning)
    problems = partition_problems(settings, counts)
    if problems:
        raise UserError("; ".join(problems) + ": delete the topic, or change TOPIC_PARTITIONS to match")


def _configure(admin: AdminClient, names: list[str]) -> None:
    changes = []
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    for resource, future in admin.describe_configs(resources, request_timeout=SECONDS).items():
        with _refused(f"the settings of topic {resource.name} could not be read"):
            config = {key: entry.value for key, entry in future.result().items()}
        wanted = differences(resource.name, config)
        for key, value in wanted.items():
            logger.info("topic %s has %s=%s: changed to %s", resource.name, key, config.get(key), value)
        if wanted:
            entries = [ConfigEntry(*one, incremental_operation=AlterConfigOpType.SET) for one in wanted.items()]
            changes.append(ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=entries))
    if not changes:
        return
    for resource, future in admin.incremental_alter_configs(changes, request_timeout=SECONDS).items():
        with _refused(f"the settings of topic {resource.name} could not be changed"):
            future.result()


@contextmanager
def _refused(what: str) -> Generator[None]:
    """What a broker refuses, it refuses again; what it has not answered can be asked once more."""
    try:
        yield
    except KafkaException as error:
        if error.args[0].code() < 0:
            raise
        raise UserError(f"{what}: {error.args[0].str()}") from None


if __name__ == "__main__":
    run_command(main)
