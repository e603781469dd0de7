"""The tables of the page: what their columns are and what a state puts into them. No I/O."""

from collections.abc import Callable, Iterable
from typing import Any

from console.letters import account
from console.records import Fraud, Letter, row_of, text_of
from console.state import RUNNING, State
from contracts import topics

Column = dict[str, str]
Row = dict[str, Any]

NOTHING = "-"
# The milliseconds with which a browser's dates end; a later one would end the whole table.
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
    """`kind` is text, number, time (milliseconds), code (text as it stands) or act (a button)."""
    return {"name": name, "label": label, "kind": kind}


PARTS = [column("name", "Part"), column("state", "State"), column("detail", "Detail")]
TOPICS = [
    column("name", "Topic"),
    column("what", "Holds"),
    column("records", "Records", "number"),
    column("rate", "A second", "number"),
]
GROUPS = [
    column("name", "Group"),
    column("topic", "Reads"),
    column("members", "Members", "number"),
    column("lag", "Lag", "number"),
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
    column("id", "Transaction"),
]
LETTERS = [
    column("at", "When", "time"),
    column("topic", "Dead-letter topic"),
    column("reason", "Reason"),
    column("source", "Came from"),
    column("record", "Record", "code"),
]


def parts(state: State) -> list[Row]:
    """Every part that can be asked."""
    return [
        {"key": name, "name": name, "state": _word("up" if part.up else "down", part.up), "detail": part.detail}
        for name, part in state.parts.items()
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
    """Fraudulent transactions; a record that is not a row of ours is left out."""
    return [
        {
            "key": identity,
            "id": identity,
            "at": _date(fraud.timestamp),
            "sender": name_of(text_of(row, "SENDER_ID")) or NOTHING,
            "receiver": name_of(text_of(row, "RECEIVER_ID")) or NOTHING,
            "amount": _amount(row.get("AMOUNT")),
            "bank": text_of(row, "SENDER_BANK") or NOTHING,
            "found_by": text_of(row, "SOURCE_PROCESS") or NOTHING,
        }
        for fraud in found
        if (identity := text_of(row := row_of(fraud.value), "TRANSACTION_ID"))
    ]


def letters(latest: Iterable[Letter]) -> list[Row]:
    """Dead letters, personal data masked."""
    rows = []
    for letter in latest:
        about = account(letter)
        rows.append(
            {
                "key": f"{letter.topic} {letter.partition} {letter.offset}",
                "at": _date(letter.timestamp),
                "topic": letter.topic,
                "reason": about.reason,
                "source": about.source,
                "record": about.record,
            }
        )
    return rows


def _amount(value: Any) -> str:
    return f"{value:,.2f}" if type(value) in (int, float) else NOTHING  # a bool is an int as well


def _date(milliseconds: int) -> int:
    return max(-LAST_DATE, min(milliseconds, LAST_DATE))


def _word(text: str, well: bool) -> dict[str, str]:
    return {"text": f"{'●' if well else '▲'}\u00a0{text}", "tone": "ok" if well else "bad"}
