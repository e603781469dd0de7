"""The Kafka brokers of the local mode, each of them a KRaft controller too: their settings files and their commands."""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local import files, secure
from local.environment import basics
from local.jvm import class_path, java, list_entry
from local.properties import to_text
from local.settings import HOST, ROOT, Broker, Settings
from runtime import services
from runtime.errors import UserError

MIB = 1024 * 1024
START = str(ROOT / "kafka" / "start.sh")
LOGS_OF_THE_CONTROLLER = f"-Dlog4j2.configurationFile={(ROOT / 'kafka' / 'log4j2.yaml').as_uri()}"


def copies(brokers: int) -> dict[str, int]:
    """The replicas of each record, and how many of them acknowledge it: one broker may be down.

    For every topic that is created with the cluster's default: the stack's own, and those of Connect and ksqlDB.
    """
    written = max(brokers - 1, 1)
    return {
        "default.replication.factor": brokers,
        "min.insync.replicas": written,
        "offsets.topic.replication.factor": brokers,
        "transaction.state.log.replication.factor": brokers,
        "transaction.state.log.min.isr": written,
        "share.coordinator.state.topic.replication.factor": brokers,
        "share.coordinator.state.topic.min.isr": written,
    }


# The settings of the broker that matter in both modes: docker-compose.yml has the same ones, and a unit test compares them.
BOTH_MODES: dict[str, str | int] = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    # Transactions of processes that never come back must not hold readers up for the default 15 minutes at most.
    "transaction.max.timeout.ms": 60000,
    # 30 days: a group that was away must find its position for as long as there are records that it has read. Topics keep
    # theirs for 7 days, and up to one more until a segment is closed; offsets are kept for 7 days by default.
    "offsets.retention.minutes": 30 * 24 * 60,
    # A request is held in memory from the moment that its size is announced; by default it may have 100 MiB. Our producers
    # send 16 MiB at most (message.max.bytes) and the rest of a request is small; a topic takes 8 or 9 MiB in one batch.
    "socket.request.max.bytes": 17 * MIB,
    # When the requests that are received or handled have so much, the next ones wait in their sockets. The last that is let
    # in may go beyond it: 97 MiB at most. Four of the largest can be stuck and all others are still served. What a reader
    # fetches goes from the disk to the socket and needs no memory here.
    "queued.max.request.bytes": 80 * MIB,
}

# Only for a cluster, whose other brokers take over. A single broker keeps the default of 9 s: nobody takes over, any pause of a
# second would fence it, and librdkafka's transactions may hang after that (runtime/hang.py).
TAKEOVER: dict[str, str | int] = {
    # A broker is fenced after this time without a heartbeat, and its partitions get other leaders.
    "broker.session.timeout.ms": 1000,
    "broker.heartbeat.interval.ms": 250,
    # If it was the active controller, another one is elected first. Defaults: 2 s until its absence is noticed, 1 s for an
    # election, and up to 1 s between two elections.
    "controller.quorum.fetch.timeout.ms": 600,
    "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.election.backoff.max.ms": 200,
    # How long a broker waits for a frozen one, to which it sends the end of a transaction for one; the default is 30 s.
    "request.timeout.ms": 2000,
}

# A killed broker does not renew its session: with a short timeout it is over soon. The controllers of a cluster keep TAKEOVER:
# one of them may still run alone when another node's broker is up.
SESSION_OF_A_KILLED_BROKER: dict[str, str | int] = {
    "broker.session.timeout.ms": 400,
    "broker.heartbeat.interval.ms": 100,
}

# For the requests (97 MiB), what a broker with the stack's topics needs (45 MiB), and room for new objects, which is soon used as
# a whole: by default it is twice that. A thread that has read or written a large request would keep a buffer of its size
# outside of the heap.
MEMORY = ("-Xmx192m", "-Xmn32m", f"-Djdk.nio.maxCachedBufferSize={MIB}")


def commands(settings: Settings) -> list[list[str]]:
    """Writes the brokers' settings, formats their storage at the first start, and returns the command that runs each.

    Raises UserError when the storage was made for another number of brokers.
    """
    _check_storage(settings)
    settings.folders.run.mkdir(parents=True, exist_ok=True)
    run = java(settings, *MEMORY, "-cp", class_path(settings, "kafka"))
    new_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    own_id = next(filter(None, (cluster_id(settings.folders.data / one.name) for one in settings.brokers)), new_id)

    def command(broker: Broker) -> list[str]:
        data, file = settings.folders.data / broker.name, settings.folders.run / f"{broker.name}.properties"
        files.write(file, properties(settings, broker), mode=0o600)
        controller = settings.folders.run / f"{broker.name}-controller.properties"
        files.write(controller, controller_properties(settings, broker), mode=0o600)
        if cluster_id(data) is None:
            formatted = subprocess.run(
                [*run, "kafka.tools.StorageTool", "format", f"--cluster-id={own_id}", "--config", str(file)],
                check=False,
                env=basics(),
                capture_output=True,
                text=True,
                cwd=ROOT,
            )
            if formatted.returncode:
                raise UserError(
                    f"Kafka's storage in {data} could not be formatted:\n{formatted.stdout}{formatted.stderr}"
                )
        others = " ".join(one.address for one in settings.brokers if one != broker)
        alone = [*run, LOGS_OF_THE_CONTROLLER, "kafka.Kafka", str(controller)]
        return ["bash", START, str(data), others, *alone, "--", *run, "kafka.Kafka", str(file)]

    first, *others = settings.brokers
    with ThreadPoolExecutor() as formatting:
        commands = list(formatting.map(command, others))
    return [command(first), *commands]  # once it is formatted, all are


def _check_storage(settings: Settings) -> None:
    """One broker's topics have no other replicas, and three brokers' need two of them."""
    own = cluster_id(settings.folders.data / services.KAFKA)
    # The first is formatted last: one of three that has another id, or is alone, is of a start that did not come so far.
    made = 3 if cluster_id(settings.folders.data / services.KAFKA_2) == own else 1
    if own is not None and made != settings.kafka_brokers:
        raise UserError(
            f"the data in {settings.folders.data} was made with KAFKA_BROKERS={made} and cannot be used with "
            f"{settings.kafka_brokers}: start the stack with KAFKA_BROKERS={made}, remove the data with "
            "./start.sh --local --clean, or set LOCAL_DIR to another folder"
        )


def cluster_id(data: Path) -> str | None:
    """The id that the storage was given when it was formatted; None before that."""
    try:
        lines = (data / "meta.properties").read_text().splitlines()
    except FileNotFoundError:
        return None
    return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), None)


def _listeners(settings: Settings, clients: str, controllers: str) -> dict[str, str]:
    if settings.kafka_secure:
        return secure.listeners(settings.folders, clients, controllers)
    return {
        "listeners": f"PLAINTEXT://{clients},CONTROLLER://{controllers}",
        "advertised.listeners": f"PLAINTEXT://{clients}",
    }


def properties(settings: Settings, broker: Broker) -> str:
    """A broker's settings."""
    return to_text(_values(settings, broker))


def controller_properties(settings: Settings, broker: Broker) -> str:
    """The settings of the controller alone that ends the session of a broker that was killed (kafka/start.sh says why)."""
    values = _values(settings, broker)
    _, values["listeners"] = str(values["listeners"]).split(",")
    del values["advertised.listeners"]
    return to_text({**SESSION_OF_A_KILLED_BROKER, **values, "process.roles": "controller"})


def _values(settings: Settings, broker: Broker) -> dict[str, str | int]:
    voters = (f"{one.id}@{HOST}:{one.controller_port}" for one in settings.brokers)
    return {
        "process.roles": "broker,controller",
        "node.id": broker.id,
        "controller.quorum.voters": ",".join(voters),
        **_listeners(settings, broker.address, f"{HOST}:{broker.controller_port}"),
        "controller.listener.names": "CONTROLLER",
        "log.dirs": list_entry(settings.folders.data / broker.name),
        **copies(settings.kafka_brokers),
        # The default, 128 MB, would be the whole heap; only the small internal topics are compacted.
        "log.cleaner.dedupe.buffer.size": 8 * MIB,
        # One machine needs no spread, and few internal partitions make every start faster.
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.num.partitions": 4,
        "controlled.shutdown.enable": "true",
        **BOTH_MODES,
        **(TAKEOVER if settings.kafka_brokers > 1 else {}),
    }
