"""The partition of a key: murmur2, as the Java clients have it, and librdkafka's `murmur2_random` (runtime/kafka.py)."""

_WORD = 0xFFFFFFFF
_MULTIPLIER = 0x5BD1E995
_SEED = 0x9747B28C


def partition_of(key: bytes, partitions: int) -> int:
    """Where a record with this key is, of so many partitions."""
    return murmur2(key) % partitions


def murmur2(data: bytes) -> int:
    """The hash of a key, as Kafka's protocol documents it, with the sign bit cleared."""
    h = (_SEED ^ len(data)) & _WORD
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _MULTIPLIER & _WORD
        k = (k ^ k >> 24) * _MULTIPLIER & _WORD
        h = h * _MULTIPLIER & _WORD ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * _MULTIPLIER & _WORD
    h = (h ^ h >> 13) * _MULTIPLIER & _WORD
    return (h ^ h >> 15) & 0x7FFFFFFF
