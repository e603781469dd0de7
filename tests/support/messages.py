"""A message of the Kafka client, whose own class cannot be made from Python."""

from confluent_kafka import KafkaError

from contracts.records import Headers


class Message:
    """A record, or with `error` what the client has to tell. What is in `broken`, "value" or "headers", cannot be read."""

    def __init__(
        self,
        topic: str = "topic",
        offset: int = 0,
        value: bytes | None = b"{}",
        *,
        partition: int = 0,
        key: bytes | None = None,
        headers: Headers | None = None,
        timestamp: tuple[int, int] = (1, 0),
        error: KafkaError | None = None,
        broken: str = "",
    ) -> None:
        self._topic, self._offset, self._value, self._partition, self._key = topic, offset, value, partition, key
        self._headers, self._timestamp, self._error, self._broken = headers, timestamp, error, broken

    def __len__(self) -> int:
        return len(self._value or b"")

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def leader_epoch(self) -> None:
        return None

    def error(self) -> KafkaError | None:
        return self._error

    def timestamp(self) -> tuple[int, int]:
        return self._timestamp

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        if self._broken == "value":
            raise SystemError("<method 'value' of 'cimpl.Message' objects> returned a result with an exception set")
        return self._value

    def set_headers(self, headers: Headers) -> None:
        self._headers, self._broken = headers, ""

    def headers(self) -> Headers | None:
        if self._broken == "headers":
            raise SystemError("<method 'headers' of 'cimpl.Message' objects> returned a result with an exception set")
        return self._headers
