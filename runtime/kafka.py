"""Kafka client settings from the environment, the same for every client of the stack."""

import logging
import os
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from runtime.errors import UserError
from runtime.hang import alive
from runtime.lost import Offsets, watched

logger = logging.getLogger(__name__)

# Timeout of one attempt to reach the broker, and the pause after it: signals are only handled between attempts.
TRY_SECONDS, PAUSE_SECONDS = 2.0, 0.3

# Environment variable -> librdkafka property: they let the same code run against a managed or secured cluster.
SECURITY = {
    "KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "KAFKA_SASL_USERNAME": "sasl.username",
    "KAFKA_SASL_PASSWORD": "sasl.password",
    "KAFKA_SSL_CA_LOCATION": "ssl.ca.location",
}
SASL = ("KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")  # those that a name and a password are enough for


# Clients of a lost broker go on within seconds. The other brokers lead its partitions after about 1.5 s, or 2.5 s when it was the
# active controller as well (TAKEOVER in local/broker.py).
FAILOVER = {
    # A frozen broker keeps its connections open: after this time without a response a request is sent to the new leader; the
    # default is a minute. A broker that is only slow may get it twice: idempotence and transactions make that harmless.
    "socket.timeout.ms": 2_500,
    # A restarted broker is reconnected within this time; the default is 10 s.
    "reconnect.backoff.max.ms": 500,
    # How often to retry while there is no new leader or coordinator yet; the default is 1 s.
    "retry.backoff.max.ms": 200,
}


def bootstrap_server(environ: Mapping[str, str] = os.environ) -> str:
    """The broker's address. Raises UserError when KAFKA_BOOTSTRAP_SERVER is not set."""
    server = environ.get("KAFKA_BOOTSTRAP_SERVER", "").strip()
    if not server:
        raise UserError("KAFKA_BOOTSTRAP_SERVER is not set: give it the broker's address, such as localhost:9092")
    return server


def security_config(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The librdkafka properties for the security settings that are set. Raises UserError when they do not fit together."""
    given = {variable: environ[variable] for variable in SECURITY if environ.get(variable)}
    protocol = given.get("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")
    if protocol not in PROTOCOLS:
        raise UserError(f"KAFKA_SECURITY_PROTOCOL={protocol!r} must be {_any_of(PROTOCOLS)}")
    # A password that is set and not used would let nobody in, and the broker's own error would not say why.
    used = (*(SASL if "SASL" in protocol else ()), *(("KAFKA_SSL_CA_LOCATION",) if "SSL" in protocol else ()))
    for variable in (*SASL, "KAFKA_SSL_CA_LOCATION"):
        if variable in given and variable not in used:
            raise UserError(
                f"{variable} is set, and KAFKA_SECURITY_PROTOCOL is {protocol}, which does not use it: "
                "set the protocol that the broker's listener has, such as SASL_SSL"
            )
    missing = [variable for variable in used if variable in SASL and variable not in given]
    if missing:
        raise UserError(f"{', '.join(missing)} not set: KAFKA_SECURITY_PROTOCOL={protocol} needs {', '.join(SASL)}")
    mechanism = given.get("KAFKA_SASL_MECHANISM")
    if mechanism and mechanism not in MECHANISMS:
        raise UserError(f"KAFKA_SASL_MECHANISM={mechanism!r} must be {_any_of(MECHANISMS)}")
    return {SECURITY[variable]: value for variable, value in given.items()}


def _any_of(values: tuple[str, ...]) -> str:
    return f"{', '.join(values[:-1])} or {values[-1]}"


def client_config(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The properties that every librdkafka client needs to reach the cluster. Raises UserError when they are not complete."""
    return {"bootstrap.servers": bootstrap_server(environ), **security_config(environ)}


# As in the Java clients: a key has the same partition whichever client writes it.
PARTITIONER = "murmur2_random"

# Partitions may be added to a topic while it is read: by default clients take up to 5 minutes to see them. The Java clients'
# settings are in kafka-connect/connect-distributed.properties and ksqldb/ksqldb-server.env.
METADATA_MS = 30_000


# A dead letter is the original record plus headers. The limit that counts is the topic's.
LARGE = {"message.max.bytes": 16 * 1024 * 1024}

# By default a client may prefetch 64 MiB of records, half of all the memory that a service has, and takes responses of 50 MiB. A
# response is unpacked as a whole, to a hundred times as much if its records are alike. One that needs longer than
# `socket.timeout.ms` to arrive is asked for again, for ever. It is no limit on a record: a larger one has a response of its own.
SMALL_QUEUE = {
    "queued.max.messages.kbytes": 8 * 1024,
    "fetch.max.bytes": 1024 * 1024,
    "fetch.message.max.bytes": 256 * 1024,
    "fetch.queue.backoff.ms": 10,  # by default a full queue is not refilled for a second
}


def static_member(replica: str, *also: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """A consumer that is a static member of its group: a restarted replica gets its partitions back without a rebalance.

    `also` get its statistics. It has to be polled, until `hang.over` is told.
    """
    return {
        **FAILOVER,
        **watched(Offsets().look, lambda _: alive(replica), *also),
        "client.id": replica,
        "group.instance.id": replica,
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 1_000,
        "isolation.level": "read_committed",
        **SMALL_QUEUE,
        "topic.metadata.refresh.interval.ms": METADATA_MS,
    }


def transactional(replica: str) -> dict[str, Any]:
    """A producer with a fixed transactional.id: a restarted replica at once aborts the transaction that it had left open."""
    return {
        **FAILOVER,
        **watched(),
        # When the group coordinator is lost while offsets are sent to it, librdkafka 2.10 and later looks for the new one only
        # once some connection opens or closes, whatever the call's timeout; idle ones close after this time. Without it the
        # results stopped for 15 s when a broker was killed, and runtime/hang.py had to end the service.
        "connections.max.idle.ms": 1_000,
        "client.id": replica,
        "transactional.id": replica,
        # How long read_committed readers are held up by the open transaction of a replica that never comes back.
        "transaction.timeout.ms": 15_000,
        "compression.type": "lz4",
        "linger.ms": 5,
        "topic.metadata.refresh.interval.ms": METADATA_MS,
        "partitioner": PARTITIONER,
        **LARGE,
    }


# A producer without transactions, that writes each record once. With more than one request under way, one that was refused
# makes those behind it fail by their sequence numbers. librdkafka then numbers everything that waits again, also what may have
# been written before a broker was lost, and the brokers take that for new: the records are there twice (librdkafka issue 4953).
# A time limit for records does the same when it is over. Transactions are aborted instead, and can have more under way.
IDEMPOTENT: dict[str, str | int | bool] = {
    **FAILOVER,
    "enable.idempotence": True,
    "max.in.flight.requests.per.connection": 1,
    "message.timeout.ms": 0,
    "partitioner": PARTITIONER,
}


def await_broker(stopping: Event) -> None:
    """Return once a broker answers that it is one, or once `stopping` is set."""
    while not stopping.is_set():
        # Each time a new client: one that was answered before the broker had registered may have lost it (runtime/lost.py).
        admin = AdminClient(client_config(), logger=logging.getLogger("kafka"))
        try:
            if admin.list_topics(timeout=TRY_SECONDS).brokers:
                return
        except KafkaException as error:
            logger.warning("the broker does not answer, trying again: %s", error.args[0].str())
        stopping.wait(PAUSE_SECONDS)
