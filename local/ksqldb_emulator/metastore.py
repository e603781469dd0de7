"""What exists: streams and the persistent queries that write them."""

from __future__ import annotations

from dataclasses import dataclass, field

from local.ksqldb_emulator.sqltypes import Schema


@dataclass(frozen=True)
class Stream:
    """A stream over a topic. `reads` is the stream that its query reads, when it was made by a query."""

    name: str
    topic: str
    schema: Schema
    statement: str
    key_format: str = "KAFKA"
    value_format: str = "JSON"
    reads: str | None = None


@dataclass
class Metastore:
    """The streams by name. A copy of it serves to try a whole request before any of it is done."""

    streams: dict[str, Stream] = field(default_factory=dict)

    def copy(self) -> Metastore:
        """The same streams; changes to one do not show in the other."""
        return Metastore(dict(self.streams))

    def readers_of(self, name: str) -> list[str]:
        """The names of the streams that were made from a stream, sorted."""
        return sorted(stream.name for stream in self.streams.values() if stream.reads == name)
