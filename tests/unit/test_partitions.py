"""The partition of a key, as Kafka's own tests of its hash have it."""

import pytest

from contracts.partitions import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_of_kafka_s_own_test(key: bytes, value: int) -> None:
    assert murmur2(key) == value & 0x7FFFFFFF
    assert partition_of(key, 6) == (value & 0x7FFFFFFF) % 6
