"""Creates the topics, and gives those that are there the settings that they need. Idempotent; fails loudly when it cannot.

Environment: KAFKA_BOOTSTRAP_SERVER (and the usual security settings), TOPIC_PARTITIONS (6), TOPIC_REPLICATION_FACTOR (1).
"""

import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the script is run by its path

from contracts import topics
from contracts.kafka import SettingsError, client_config
from contracts.service import Environment, load_settings

logger = logging.getLogger("init_kafka")

BROKER_SECONDS = 60
MIB = 1024 * 1024
# A bank may send a record that is far too large: it has to fit in, so that it can be refused by name. Dead letters have
# headers on top of what came.
MAX_MESSAGE_BYTES = {topics.BANK_TRANSACTIONS: 8 * MIB} | dict.fromkeys(topics.DEAD_LETTERS, 9 * MIB)


class Settings(Environment, env_prefix="TOPIC_"):
    """One partition count for all topics: ksqlDB asks that its inputs and outputs agree."""

    # A broker takes no request for more than 10,000 partitions, and all topics are created in one.
    partitions: Annotated[int, Field(ge=1, le=1_000)] = 6
    replication_factor: Annotated[int, Field(ge=1, le=100)] = 1


def topic_config(name: str) -> dict[str, str]:
    """A topic's own settings: not compacted, 7 days (a compacted `users` topic would stop a ksqlDB query at a null key).

    The 7 days count from when a record was written: by the bank's clock, which stages would hand on, an old transaction could
    be gone before the next stage has read it.
    """
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(7 * 24 * 3600 * 1000),
        "message.timestamp.type": "LogAppendTime",
    }
    if name in MAX_MESSAGE_BYTES:
        config["max.message.bytes"] = str(MAX_MESSAGE_BYTES[name])
    return config


def differences(name: str, config: Mapping[str, str]) -> dict[str, str]:
    """The settings that an existing topic needs and has otherwise, as they should be."""
    return {key: value for key, value in topic_config(name).items() if config.get(key) != value}


def main() -> None:
    """Create what is missing, change what is there."""
    settings = load_settings(Settings)
    admin = AdminClient(client_config() | {"client.id": "init-kafka"}, logger=logging.getLogger("kafka"))
    _await_broker(admin)
    wanted = [
        NewTopic(name, settings.partitions, settings.replication_factor, config=topic_config(name))
        for name in topics.ALL
    ]
    existing = []
    for name, future in admin.create_topics(wanted).items():
        try:
            future.result()
            logger.info("created %s", name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise SettingsError(f"topic {name} could not be created: {error.args[0].str()}") from None
            existing.append(name)
    if existing:
        _check_partitions(admin, existing, settings)
        _configure(admin, existing)
    logger.info("%d topics are there, %d of them new", len(topics.ALL), len(topics.ALL) - len(existing))


def _await_broker(admin: AdminClient) -> None:
    deadline = time.monotonic() + BROKER_SECONDS
    while True:
        try:
            admin.list_topics(timeout=5)
            return
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise SettingsError(
                    f"no broker answered at {client_config()['bootstrap.servers']} within {BROKER_SECONDS} s "
                    f"({error.args[0].str()}): is it running, and is KAFKA_BOOTSTRAP_SERVER right?"
                ) from None
            logger.info("waiting for the broker")


def _check_partitions(admin: AdminClient, names: list[str], settings: Settings) -> None:
    metadata = admin.list_topics(timeout=10).topics
    counts = {name: len(metadata[name].partitions) for name in names}
    problems = [
        f"topic {name} has {count} partitions, not {settings.partitions}"
        for name, count in counts.items()
        if count != settings.partitions
    ]
    if problems:
        raise SettingsError("; ".join(problems) + ": delete the topic, or change TOPIC_PARTITIONS to agree")


def _configure(admin: AdminClient, names: list[str]) -> None:
    changes = []
    for resource, future in admin.describe_configs(
        [ConfigResource(ResourceType.TOPIC, name) for name in names]
    ).items():
        config = {key: entry.value for key, entry in future.result().items()}
        wanted = differences(resource.name, config)
        for key, value in wanted.items():
            logger.info("topic %s has %s=%s: changed to %s", resource.name, key, config.get(key), value)
        if wanted:
            entries = [ConfigEntry(*one, incremental_operation=AlterConfigOpType.SET) for one in wanted.items()]
            changes.append(ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=entries))
    if not changes:
        return
    for resource, future in admin.incremental_alter_configs(changes).items():
        try:
            future.result()
        except KafkaException as error:
            raise SettingsError(
                f"the settings of topic {resource.name} could not be changed: {error.args[0].str()}"
            ) from None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    try:
        main()
    except SettingsError as error:
        logger.error("%s", error)
        sys.exit(1)
