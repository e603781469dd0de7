"""The Kafka broker of the local mode: one node, KRaft, its settings file and its command."""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from contracts.kafka import SettingsError
from local.environment import basics
from local.jvm import class_path, java
from local.settings import HOST, Settings

MIB = 1024 * 1024

# The settings of the broker that matter in both modes: docker-compose.yml has the same ones, and a unit test compares them.
BOTH_MODES: dict[str, str | int] = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    # A restarted broker is taken back after this time, not after the default 9 s.
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    # Transactions of processes that never come back must not hold readers up for the default 15 minutes at most.
    "transaction.max.timeout.ms": 60000,
    # 30 days: a group that was away must find its position for as long as there are records that it has read. Topics keep
    # theirs for 7 days, and up to 7 more until a segment is full or old enough; offsets by default for 7 days and no longer.
    "offsets.retention.minutes": 30 * 24 * 60,
    # A request is held in memory from the moment that its size is announced; by default it may have 100 MiB. Our producers
    # send 16 MiB at most (message.max.bytes) and the rest of a request is small; a topic takes 8 or 9 MiB in one batch.
    "socket.request.max.bytes": 17 * MIB,
    # When the requests that are received or handled have so much, the next ones wait in their sockets. The last that is let
    # in may go beyond it: 97 MiB at most. Four of the largest can be stuck and all others are still served. What a reader
    # fetches goes from the disk to the socket and needs no memory here.
    "queued.max.request.bytes": 80 * MIB,
}

# For the requests (97 MiB), what a broker with the stack's topics needs (45 MiB), and room for new objects. A thread that has
# read or written a large request would keep a buffer of its size outside of the heap.
MEMORY = ("-Xmx192m", f"-Djdk.nio.maxCachedBufferSize={MIB}")


def command(settings: Settings) -> list[str]:
    """Writes the settings, formats the storage at the first start, and returns the command that runs the broker."""
    data = settings.folders.data / "kafka"
    file = settings.folders.run / "kafka.properties"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(properties(settings, data))
    run = java(settings, *MEMORY, "-cp", class_path(settings, "kafka"))
    if not (data / "meta.properties").exists():
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        formatted = subprocess.run(
            [*run, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", str(file)],
            check=False,
            env=basics(),
            capture_output=True,
            text=True,
        )
        if formatted.returncode:
            raise SettingsError(
                f"Kafka's storage in {data} could not be formatted:\n{formatted.stdout}{formatted.stderr}"
            )
    return [*run, "kafka.Kafka", str(file)]


def properties(settings: Settings, data: Path) -> str:
    """The broker's settings."""
    ports = settings.ports
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{ports.kafka_controller_port}",
        "listeners": f"PLAINTEXT://{settings.bootstrap},CONTROLLER://{HOST}:{ports.kafka_controller_port}",
        "advertised.listeners": f"PLAINTEXT://{settings.bootstrap}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # The default, 128 MB, would be the whole heap; only the small internal topics are compacted.
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        # One node needs no spread, and few internal partitions make every start faster.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        "controlled.shutdown.enable": "true",
        **BOTH_MODES,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())
