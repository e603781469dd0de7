"""What `--topic` runs, on a topic that is given partitions while it is read."""

import subprocess
import sys
import uuid

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from local.settings import ROOT

CONSUME = """
import sys
from types import SimpleNamespace
from local import broker
from local.console_consumer import consume
bootstrap, topic, cluster = sys.argv[1:]
broker.cluster_id = lambda _: cluster
consume(SimpleNamespace(bootstrap=bootstrap, folders=None), topic, True)
"""


def test_partitions_that_are_added_are_printed_too(kafka_bootstrap: str) -> None:
    topic = f"grows-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "enable.idempotence": True})
    producer.produce(topic, b"old", partition=0)
    assert producer.flush(30) == 0
    cluster = admin.list_topics(timeout=30).cluster_id
    process = subprocess.Popen(
        [sys.executable, "-c", CONSUME, kafka_bootstrap, topic, cluster], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"old\n"
        admin.create_partitions([NewPartitions(topic, 2)])[topic].result(30)
        later = Producer({"bootstrap.servers": kafka_bootstrap, "enable.idempotence": True})
        later.produce(topic, b"new", partition=1)
        assert later.flush(30) == 0
        assert process.stdout.readline() == b"new\n"
        later.produce(topic, b"old again", partition=0)
        assert later.flush(30) == 0
        assert process.stdout.readline() == b"old again\n"
    finally:
        process.terminate()
        process.wait(10)
