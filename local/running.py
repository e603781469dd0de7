"""The stack of this clone that runs: the commands follow what it was started with, not what the environment has since."""

import os
import sys
from typing import Any

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from local import broker, rights, state
from local.secure import kafka_environment
from local.settings import Addresses, Folders, Ports, read_env_file
from runtime import services
from runtime.errors import UserError
from runtime.kafka import client_config

NOT_RUNNING = "the local stack is not running: ./start.sh --local starts it"
ANSWER_SECONDS = 5.0


def clients(stack: Addresses) -> dict[str, str]:
    """The variables by which the tools reach its Kafka."""
    return kafka_environment(stack, rights.TOOLS)


def search(folders: Folders) -> Addresses | None:
    """The stack that runs, or of which at least a process is left."""
    current = state.read(folders.state)
    if current is None or not any(map(state.alive, (current["launcher"], *current["services"].values()))):
        return None
    return stack_of(current, folders)


def find(folders: Folders) -> Addresses:
    """As search(). Raises UserError when none runs."""
    stack = search(folders)
    if stack is None:
        raise UserError(NOT_RUNNING)
    return stack


def stack_of(current: dict[str, Any], folders: Folders) -> Addresses:
    """The stack of a state. A note on stderr lists the ports that the environment or .env sets differently now."""
    ports = Ports(**current["ports"])
    read_env_file()
    started, now = [], []
    for field, port in ports:
        name = field.upper()
        if os.environ.get(name) not in (None, "", str(port)):
            started.append(f"{name}={port}")
            now.append(f"{name}={os.environ[name]}")
    if now:
        sys.stderr.write(
            f"note: the running stack was started with {' '.join(started)}, which is used: "
            f"{' '.join(now)} in the environment or .env counts from the next start\n"
        )
    return Addresses(ports, folders, kafka_brokers=current["kafka_brokers"], kafka_secure=current["kafka_secure"])


def metadata(stack: Addresses, client: Consumer | AdminClient) -> ClusterMetadata:
    """What the stack's broker knows. Raises UserError when none answers, or that of another stack does."""
    try:
        found = client.list_topics(timeout=ANSWER_SECONDS)
    except KafkaException:
        raise UserError(f"no broker answers at {stack.bootstrap}: ./start.sh --status shows why") from None
    if found.cluster_id != broker.cluster_id(stack.folders.data / services.KAFKA):
        raise UserError(
            f"at {stack.bootstrap} is the broker of another stack (cluster {found.cluster_id}), not of this clone's: "
            "nothing was read or written there"
        )
    return found


def check_cluster(stack: Addresses) -> None:
    """Before anything is changed there. Raises UserError as metadata()."""
    metadata(stack, AdminClient({**client_config(clients(stack)), "log_level": 0}))
