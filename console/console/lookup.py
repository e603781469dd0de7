"""Finds the records of one transaction by key and time, so that of each topic no more is read than has to be.

Its key leads to where it was routed. Outside the range that the index covers, partitions are searched from the newest record
to the oldest, the key's own partition first: partitions may have been added since. The routed record has the bank's timestamp,
and everything derived from it is newer.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import orjson
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from console.keys import Keys
from console.reader import client
from console.records import Place, row_of, text_of
from console.search import steps_back
from console.stages import Committed, Found
from contracts import topics
from contracts.dead_letters import source_of
from contracts.partitions import partition_of
from contracts.records import Record, headers_of
from contracts.timestamps import bank_timestamp
from runtime import services
from runtime.kafka import METADATA_MS
from runtime.reading import Spans, records_of

SECONDS = 10.0
ANSWER_SECONDS = 5.0
# How many keys are remembered behind a record that waits: a row of any of them proves that it was processed.
BEHIND = 1_000
# The clocks of several brokers differ by less.
CLOCKS_MS = 1_000

# Times that Kafka's protocol has names for, as milliseconds.
_EARLIEST, _LATEST = -2, -1

Wanted = Callable[[Message], bool]

# One at a time, since each needs some megabytes, and in a thread of its own: what waits for its turn holds up nothing else.
THREAD = ThreadPoolExecutor(1, "look-up")


def find(identity: str, committed: Committed, keys: Keys) -> Found:
    """The records of a transaction. `committed` is what the groups had committed just before. Raises KafkaException."""
    with closing(Consumer(client("console-lookup") | {"fetch.min.bytes": 1, "fetch.wait.max.ms": 10})) as consumer:
        return _Lookup(consumer, identity, committed, keys).found()


class _Lookup:
    """One transaction's. `_end` is where each partition ended when it began."""

    def __init__(self, consumer: Consumer, identity: str, committed: Committed, keys: Keys) -> None:
        self._consumer = consumer
        self._keys = keys
        self._identity = identity
        self._key = identity.encode()
        # One of these is in a value that has the id as a JSON text, in which any character may be escaped.
        self._marks = (orjson.dumps(identity)[1:-1], b"\\u", b"\\/")
        self._committed = committed
        self._deadline = time.monotonic() + SECONDS
        known = consumer.list_topics(timeout=ANSWER_SECONDS).topics
        self._partitions = {
            name: count for name in topics.ALL if name in known and (count := len(known[name].partitions))
        }
        places = self._all(*topics.ALL)
        self._end: dict[Place, int] = {}
        self._end = self._offsets(places, _LATEST)
        self._first = self._offsets(places, _EARLIEST)
        # How far the index went before it was searched: what it takes later is read from Kafka.
        self._indexed = {place: keys.known(place)[1] for place in places}

    def found(self) -> Found:
        """All that there is of it."""
        newest = self._where_it_went()
        routed = _newest(newest, *topics.ROUTED)
        received = _newest(newest, topics.BANK_TRANSACTIONS)
        refused = _newest(newest, topics.BANK_TRANSACTIONS_DLQ)
        if refused is not None and routed is None:  # it may have been replayed since, and have been routed
            routed = _newest(self._unknown(self._followed(refused, *topics.ROUTED)), *topics.ROUTED)
        if received is None:
            received = self._received(routed, refused)
        dead_letters = [refused] if refused else []
        row, users = None, (None, None)
        if routed is not None:
            row = self._row(routed)
            if row is None:
                dead_letters += self._dead_letters(routed, [routed], topics.UNIDENTIFIED_TRANSACTIONS_DLQ)
            else:
                users = self._users(routed, row)
                rows = [one for one in (row, *users) if one is not None]
                first = min(rows, key=lambda one: one.timestamp[1])
                dead_letters += self._dead_letters(first, rows, topics.MONGODB_SINK_DLQ, topics.S3_SINK_DLQ)
        complete = time.monotonic() < self._deadline
        return Found(self._identity, received, routed, row, users, dead_letters, self._committed, complete)

    def _where_it_went(self) -> list[Record]:
        """Its newest records among those that were routed or refused, or that wait for the ingestor.

        What a bank sends may have any key, and so may its dead letter: those are looked for by key, and then by what they hold.
        """
        done = self._committed.get(services.INGESTOR, {})
        spans = {
            place: (max(done.get(place, 0), self._first[place]), self._end[place])
            for place in self._all(*topics.ROUTED, topics.BANK_TRANSACTIONS, topics.BANK_TRANSACTIONS_DLQ)
        }
        likely = {place: span for place, span in spans.items() if self._leads_to(place)}
        others = {place: span for place, span in spans.items() if place not in likely}
        sent = {place: span for place, span in spans.items() if place[0] not in topics.ROUTED}
        found = (
            self._of_key(spans)
            or self._unknown(likely)
            or self._newest_of(sent, self._is_it)
            or self._unknown(others)  # partitions may have been added since
        )
        # It may have been routed or refused since, or that offset is forgotten.
        if found and all(one.topic == topics.BANK_TRANSACTIONS for one in found):
            found += self._unknown(self._followed(found[0], *topics.ROUTED, topics.BANK_TRANSACTIONS_DLQ))
        return found

    def _of_key(self, spans: Spans) -> list[Record]:
        """Those of the spans whose offsets are known."""
        found = (
            self._first_of({(topic, partition): (offset, offset + 1)}, self._has_its_key)
            for topic, partition, offset in self._keys.find(self._key)
            if offset >= spans.get((topic, partition), (offset + 1, 0))[0]
        )
        return [one for one in found if one is not None]

    def _unknown(self, spans: Spans) -> list[Record]:
        """Those of the spans whose offsets are not known, from the newest step that has any."""
        newer, older = {}, {}
        for place, (begin, end) in spans.items():
            forgotten = self._keys.known(place)[0]
            newer[place], older[place] = (max(begin, self._indexed[place]), end), (begin, min(forgotten, end))
        return self._newest_of(newer, self._has_its_key) or self._newest_of(older, self._has_its_key)

    def _followed(self, record: Record, *names: str) -> Spans:
        """Where records with its key that followed from this one can be."""
        return self._since(record, [place for name in names for place in self._keyed([self._key], name, record)])

    def _received(self, routed: Record | None, refused: Record | None) -> Record | None:
        """Of all that came in the millisecond that the bank sent it, or where its dead letter was."""
        if routed is not None:
            sent, places = bank_timestamp(routed.headers), self._all(topics.BANK_TRANSACTIONS)
            if sent is None:
                return None
            begin, end = self._offsets(places, sent), self._offsets(places, sent + 1)
            return self._first_of({place: (begin[place], end[place]) for place in places}, self._is_it)
        if refused is None or (source := source_of(refused.headers)) is None:
            return None
        if (source.topic, source.partition) not in self._end:
            return None
        # Another record may have this offset by now: that of a topic that was deleted and created.
        span = {(source.topic, source.partition): (source.offset, source.offset + 1)}
        return self._first_of(span, lambda message: _same(refused, message))

    def _row(self, routed: Record) -> Record | None:
        """The first on the result topic since it was routed, unless the row of one that was validated later comes first."""
        behind: set[tuple[bytes | None, int]] = set()
        if routed.topic == topics.UNIDENTIFIED_TRANSACTIONS:
            place, begin = (routed.topic, routed.partition), routed.offset + 1
            for message in self._read({place: (begin, begin + BEHIND)}):
                sent = bank_timestamp(headers_of(message))
                if sent is not None and message.key() != self._key:
                    behind.add((message.key(), sent))

        def ends(message: Message) -> bool:
            return message.key() == self._key or (message.key(), bank_timestamp(headers_of(message)) or 0) in behind

        places = self._keyed([self._key], topics.FRAUDULENT_TRANSACTIONS_RESULT, routed)
        spans = self._since(routed, places)
        until = {place: end for place, (_, end) in spans.items()}
        for place in places:
            found = self._first_of({place: (spans[place][0], until[place])}, ends)
            if found is not None and found.key == self._key:
                return found
            if found is not None:  # it was processed by then: in the other partitions there is no later row of it
                until = self._offsets(places, found.timestamp[1] + CLOCKS_MS)
        return None

    def _users(self, routed: Record, row: Record) -> tuple[Record | None, Record | None]:
        """Rows of users have their keys, and the bank's timestamp of the transaction that they came with."""
        fields, sent = row_of(row.value or b""), bank_timestamp(routed.headers)
        ids = [text_of(fields, name).encode() for name in ("SENDER_ID", "RECEIVER_ID")]
        rows: dict[bytes | None, Record] = {}
        for message in self._read(self._since(routed, self._keyed(ids, topics.USERS, routed))):
            if message.key() in ids and message.key() not in rows:
                record = Record.of(message)
                if bank_timestamp(record.headers) == sent:
                    rows[record.key] = record
                    if len(rows) == len(set(ids)):
                        break
        return rows.get(ids[0]), rows.get(ids[1])

    def _dead_letters(self, since: Record, of: list[Record], *names: str) -> list[Record]:
        sources = {one.position for one in of}
        records = map(Record.of, self._read(self._since(since, self._all(*names))))
        return [one for one in records if source_of(one.headers) in sources]

    def _newest_of(self, spans: Spans, wanted: Wanted) -> list[Record]:
        """The wanted records in the newest step that has any, back from the ends of the spans."""
        first, last = ({place: span[one] for place, span in spans.items()} for one in (0, 1))
        for begin, end in steps_back(first, last):
            step = {place: (begin[place], end[place]) for place in begin}
            found = [Record.of(message) for message in self._read(step) if wanted(message)]
            if found or time.monotonic() > self._deadline:
                return found
        return []

    def _first_of(self, spans: Spans, wanted: Wanted) -> Record | None:
        return next((Record.of(message) for message in self._read(spans) if wanted(message)), None)

    def _read(self, spans: Spans) -> Iterator[Message]:
        """The records of spans as far as the partitions went, until the time is over."""
        cut = {place: (begin, min(end, self._end[place])) for place, (begin, end) in spans.items()}
        for batch in records_of(self._consumer, cut):
            yield from batch
            if time.monotonic() > self._deadline:
                return

    def _since(self, record: Record, places: Iterable[Place]) -> Spans:
        """From when the record was written to the end."""
        begin = self._offsets(places, record.timestamp[1] - CLOCKS_MS)
        return {place: (offset, self._end[place]) for place, offset in begin.items()}

    def _offsets(self, places: Iterable[Place], at: int) -> dict[Place, int]:
        """By partition, the first offset of a record that was written at a time (in ms) or later, or the end."""
        asked = [TopicPartition(*place, at) for place in places]
        offsets = {}
        for one in self._consumer.offsets_for_times(asked, ANSWER_SECONDS) if asked else ():
            if one.error is not None:
                raise KafkaException(one.error)
            place = one.topic, one.partition
            offsets[place] = one.offset if one.offset >= 0 else self._end.get(place, 0)
        return offsets

    def _leads_to(self, place: Place) -> bool:
        topic, partition = place
        return partition == partition_of(self._key, self._partitions[topic])

    def _keyed(self, keys: Iterable[bytes], topic: str, since: Record) -> list[Place]:
        """The partitions where a record with one of the keys that followed from `since` can be, the likely one first.

        The topic may have had fewer partitions then: one without any record from well before may have been added later.
        """
        count = self._partitions.get(topic, 0)
        before = self._offsets(self._all(topic), since.timestamp[1] - METADATA_MS - CLOCKS_MS)
        there = max((partition + 1 for (_, partition), offset in before.items() if offset > 0), default=0)
        # Of a topic in its first minute nothing is known: most likely it has as many as it began with.
        counts = range(there, count + 1) if there else range(count, 0, -1)
        return list(dict.fromkeys((topic, partition_of(key, one)) for one in counts for key in keys))

    def _all(self, *names: str) -> list[Place]:
        return [(name, one) for name in names for one in range(self._partitions.get(name, 0))]

    def _has_its_key(self, message: Message) -> bool:
        return message.key() == self._key

    def _is_it(self, message: Message) -> bool:
        """Whether it is the transaction's own: by its key, or what a bank sent with another key by its field."""
        if self._has_its_key(message):
            return True
        value = message.value() or b""
        return (
            message.topic() in (topics.BANK_TRANSACTIONS, topics.BANK_TRANSACTIONS_DLQ)
            and any(mark in value for mark in self._marks)
            and text_of(row_of(value), "transaction_id") == self._identity
        )


def _same(dead_letter: Record, source: Message) -> bool:
    """Whether a dead letter is of this record; one that was too large has its position alone."""
    return dead_letter.value is None or (dead_letter.key, dead_letter.value) == (source.key(), source.value())


def _newest(records: Iterable[Record], *names: str) -> Record | None:
    return max((one for one in records if one.topic in names), key=lambda one: one.timestamp[1], default=None)
