"""What confluent_kafka makes of a header whose name is not UTF-8: its own producers cannot write one, others can."""

import ctypes
from ctypes import c_char_p, c_int, c_size_t, c_ssize_t, c_void_p
from pathlib import Path

import confluent_kafka
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from contracts.records import headers_of

TOPIC = "headers"
# The types of rd_kafka_producev's arguments, and RD_KAFKA_MSG_F_COPY.
END, TOPIC_NAME, VALUE, FLAGS, HEADER = (c_int(number) for number in (0, 1, 4, 7, 9))
COPY = c_int(2)


def send(bootstrap: str, name: bytes) -> None:
    """Write a record with a header of this name, by the librdkafka that confluent_kafka carries."""
    (path,) = Path(confluent_kafka.__file__).parent.parent.glob("confluent_kafka.libs/librdkafka*")
    library = ctypes.CDLL(str(path))
    library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = c_void_p
    configuration, error = c_void_p(library.rd_kafka_conf_new()), ctypes.create_string_buffer(512)
    server = c_char_p(bootstrap.encode())
    assert library.rd_kafka_conf_set(configuration, c_char_p(b"bootstrap.servers"), server, error, c_size_t(512)) == 0
    producer = c_void_p(library.rd_kafka_new(0, configuration, error, c_size_t(512)))
    topic, value = (TOPIC_NAME, c_char_p(TOPIC.encode())), (VALUE, c_char_p(b"value"), c_size_t(5))
    header = HEADER, c_char_p(name), c_char_p(b"1"), c_ssize_t(1)
    assert library.rd_kafka_producev(producer, *topic, *value, FLAGS, COPY, *header, END) == 0
    assert library.rd_kafka_flush(producer, 10_000) == 0
    library.rd_kafka_destroy(producer)


def test_a_name_that_is_not_utf_8_is_no_error(kafka_bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result()
    for name in (b"good", b"\xff\xfebad"):
        send(kafka_bootstrap, name)
    consumer = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": TOPIC, "auto.offset.reset": "earliest"})
    consumer.subscribe([TOPIC])
    try:
        messages = consumer.consume(2, 20)
        assert [message.value() for message in messages] == [b"value"] * 2
        good, bad = messages
        for _ in range(1_000):  # what is hot is called in another way
            assert headers_of(good) == [("good", b"1")]
        assert headers_of(bad) is None
        assert headers_of(bad) == []
    finally:
        consumer.close()
