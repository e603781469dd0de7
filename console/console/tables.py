"""The tables of the page: their columns, and their rows for a state of the stack. No I/O."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from console.dead_letters import DeadLetter
from console.events import Event, past, span, together
from console.masking import transaction_id
from console.reasons import Reason
from console.records import Fraud, row_of, text_of
from console.stages import DECIDED_BY, DONE, Stage
from console.state import RUNNING, State
from contracts import topics

Column = dict[str, str]
Row = dict[str, Any]

NOTHING = "-"
# The last date that a browser can represent, in milliseconds; a later one would break the whole table.
LAST_DATE = 8_640_000_000_000_000

WHAT = {
    topics.BANK_TRANSACTIONS: "what the bank sent",
    topics.FRAUDULENT_TRANSACTIONS: "fraudulent by evaluation, for ksqlDB",
    topics.UNIDENTIFIED_TRANSACTIONS: "to be validated, for the processor",
    topics.FRAUDULENT_TRANSACTIONS_RESULT: "rows of fraudulent transactions, for the stores",
    topics.USERS: "rows of their senders and receivers, for the stores",
    topics.BANK_TRANSACTIONS_DLQ: "dead letters of the ingestor",
    topics.UNIDENTIFIED_TRANSACTIONS_DLQ: "dead letters of the processor",
    topics.MONGODB_SINK_DLQ: "dead letters of the MongoDB sink",
    topics.S3_SINK_DLQ: "dead letters of the S3 sink",
}


def column(name: str, label: str, kind: str = "text") -> Column:
    """`kind` is text, word (not broken), number, time (milliseconds), code (text as it stands), link or act (a button)."""
    return {"name": name, "label": label, "kind": kind}


SERVICES = [column("name", "Service"), column("state", "State"), column("detail", "Detail")]
TOPICS = [
    column("name", "Topic"),
    column("what", "Holds"),
    column("records", "Records", "number"),
    column("rate", "Per second", "number"),
]
GROUPS = [
    column("name", "Group"),
    column("topic", "Reads"),
    column("members", "Members", "number"),
    column("lag", "Lag", "number"),
]
BROKERS = [
    column("name", "Broker"),
    column("state", "State"),
    column("address", "Address"),
    column("leads", "Leads", "number"),
    column("in_sync", "Replicas in sync", "number"),
]
CONNECTORS = [
    column("name", "Connector"),
    column("state", "State"),
    column("tasks", "Tasks"),
    column("restart", "Restart", "act"),
]
QUERIES = [column("name", "Query"), column("state", "State"), column("sink", "Writes to")]
FRAUDS = [
    column("at", "When", "time"),
    column("sender", "Sender"),
    column("receiver", "Receiver"),
    column("amount", "Amount", "number"),
    column("bank", "Bank"),
    column("found_by", "Found by"),
    column("id", "Transaction", "link"),
]
DEAD_LETTERS = [
    column("at", "When", "time"),
    column("topic", "Dead-letter topic"),
    column("reason", "Reason"),
    column("source", "Came from"),
    column("id", "Transaction", "link"),
    column("record", "Record", "code"),
]

STAGES = [
    column("name", "Stage", "word"),
    column("status", "State", "word"),
    column("at", "When", "time"),
    column("since", "After", "number"),
    column("where", "Topic / partition @ offset"),
    column("detail", "Detail"),
    column("record", "Record", "code"),
]

EVENTS = [
    column("at", "When", "time"),
    column("what", "What"),
    column("took", "Lasted"),
    column("cause", "Because of"),
]
REASONS = [
    column("newest", "Newest", "time"),
    column("topic", "Dead-letter topic"),
    column("reason", "Reason"),
    column("count", "Count", "number"),
    column("record", "The first record", "code"),
]
# Events that are shown, and as many more that follow from something else; /api/events has all.
SHOWN_EVENTS = 100


def services(state: State) -> list[Row]:
    """Every service that can be checked."""
    return [
        {
            "key": name,
            "name": name,
            "state": _word(state.word(name), service.up),
            "detail": service.detail,
        }
        for name, service in state.services.items()
    ] + _disk(state)


def _disk(state: State) -> list[Row]:
    if state.disk is None:
        return []
    word = _word(state.disk.state, not state.disk.problem)
    return [{"key": "disk", "name": "disk", "state": word, "detail": state.disk.left}]


def brokers(state: State) -> list[Row]:
    """Every broker, and the partitions that it leads and keeps."""
    return [
        {
            "key": name,
            "name": name,
            "state": _word("up" if broker.up else "down", broker.up),
            "address": broker.address or NOTHING,
            "leads": f"{broker.leads:,}",
            "in_sync": f"{broker.in_sync:,} of {broker.replicas:,}",
        }
        for name, broker in state.cluster.brokers.items()
    ]


def topic_totals(state: State) -> list[Row]:
    """Every topic."""
    return [
        {
            "key": name,
            "name": name,
            "what": WHAT[name],
            "records": {
                "text": f"{topic.records:,}",
                "tone": "bad" if topic.records and name in topics.DEAD_LETTERS else "",
            },
            "rate": f"{topic.rate:,.1f}",
        }
        for name, topic in state.topics.items()
    ]


def groups(state: State) -> list[Row]:
    """Every consumer group and each topic that it reads."""
    return [
        {
            "key": f"{name} {topic}",
            "name": name,
            "topic": topic,
            "members": "?" if group.members is None else str(group.members),
            "lag": f"{behind:,}",
        }
        for name, group in state.groups.items()
        for topic, behind in group.lag.items()
    ]


def connectors(state: State) -> list[Row]:
    """Every connector."""
    return [
        {
            "key": name,
            "name": name,
            "state": _word(connector.state, connector.state == RUNNING),
            "tasks": _word(
                ", ".join(f"task {task.id} {task.state}" for task in connector.tasks) or "none", connector.runs
            ),
            "restart": f"Restart {name}",
        }
        for name, connector in state.connectors.items()
    ]


def queries(state: State) -> list[Row]:
    """Every query."""
    return [
        {"key": name, "name": name, "state": _word(query.state, query.state == RUNNING), "sink": query.sink}
        for name, query in state.queries.items()
    ]


def frauds(found: Iterable[Fraud], name_of: Callable[[str], str]) -> list[Row]:
    """Fraudulent transactions; records that are not valid rows are left out."""
    rows, seen = list[Row](), Counter[str]()
    for fraud in found:
        row = row_of(fraud.value)
        if not (identity := text_of(row, "TRANSACTION_ID")):
            continue
        seen[identity] += 1
        rows.append(
            {
                "key": identity if seen[identity] == 1 else f"{identity} {seen[identity]}",  # one may have several rows
                "id": _transaction(identity),
                "at": _date(fraud.timestamp),
                "sender": name_of(text_of(row, "SENDER_ID")) or NOTHING,
                "receiver": name_of(text_of(row, "RECEIVER_ID")) or NOTHING,
                "amount": _amount(row.get("AMOUNT")),
                "bank": text_of(row, "SENDER_BANK") or NOTHING,
                "found_by": found_by(text_of(row, "SOURCE_PROCESS")),
            }
        )
    return rows


def dead_letters(latest: Iterable[DeadLetter]) -> list[Row]:
    """Dead letters, personal data masked."""
    return [
        {
            "key": f"{one.topic} {one.partition} {one.offset}",
            "at": _date(one.timestamp),
            "topic": one.topic,
            "reason": one.reason,
            "source": one.source,
            "id": _transaction(transaction_id(one.value)),
            "record": one.record,
        }
        for one in latest
    ]


def events(happened: Iterable[Event]) -> list[Row]:
    """What happened, newest first. What follows from something else is shown on demand, so that it does not bury its cause."""
    return [
        {
            "key": event.key,
            "at": _date(int(event.began * 1000)),
            "what": event.text if event.ended is None else past(event.text),
            "took": _took(event),
            "cause": event.cause or NOTHING,
            "follows": bool(event.cause),
        }
        for event in _newest(together(happened))
    ]


def _newest(happened: Iterable[Event]) -> Iterator[Event]:
    """However many have one cause, it is among them."""
    counts: Counter[bool] = Counter()
    for event in happened:
        follows = bool(event.cause)
        counts[follows] += 1
        if counts[follows] <= SHOWN_EVENTS:
            yield event


def reasons(found: Iterable[Reason]) -> list[Row]:
    """Dead letters by reason, personal data masked."""
    return [
        {
            "key": f"{reason.topic} {reason.text}",
            "newest": _date(reason.newest),
            "topic": reason.topic,
            "reason": reason.text,
            "count": f"{reason.count:,}",
            "record": reason.first.record,
        }
        for reason in found
    ]


def _took(event: Event) -> str | dict[str, str]:
    if event.ended is None:
        return {"text": "▲\u00a0ongoing", "tone": "bad"}
    return span(event.ended - event.began) if event.ended > event.began else NOTHING


def stages(passed: Iterable[Stage]) -> list[Row]:
    """A transaction's stages."""
    return [
        {
            "key": f"{number} {stage.name}",
            "name": stage.name,
            "status": _word(stage.status, stage.status == DONE),
            "at": None if stage.at is None else _date(stage.at),
            "since": NOTHING if stage.since is None else f"{stage.since:,.3f} s",
            "where": "{} / {} @ {}".format(*stage.position) if stage.position else NOTHING,
            "detail": stage.detail,
            "record": stage.record,
        }
        for number, stage in enumerate(passed)
    ]


def _transaction(identity: str) -> dict[str, str] | str:
    return {"text": identity, "href": f"/transaction/{quote(identity, safe='')}"} if identity else NOTHING


def found_by(process: str) -> str:
    """Who says that it is fraudulent, and the process that wrote its row."""
    return f"{DECIDED_BY[process]} ({process})" if process in DECIDED_BY else process or NOTHING


def _amount(value: Any) -> str:
    return f"{value:,.2f}" if type(value) in (int, float) else NOTHING  # a bool is an int as well


def _date(milliseconds: int) -> int:
    return max(-LAST_DATE, min(milliseconds, LAST_DATE))


def _word(text: str, healthy: bool) -> dict[str, str]:
    return {"text": f"{'●' if healthy else '▲'}\u00a0{text}", "tone": "ok" if healthy else "bad"}
