"""The picture of the pipeline: what stands where, what is joined to what, and what each node says of a state. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from console.state import RUNNING, Connector, State
from contracts import topics
from runtime import services

Kind = Literal["service", "topic", "dead-letters", "store"]
Tone = Literal["ok", "bad", "quiet"]

MONGODB = "MongoDB"
S3 = "S3"

WIDE_SIZE = (1336, 340)
TALL_SIZE = (358, 836)


@dataclass(frozen=True)
class Box:
    """Where a node stands in a picture, in its own units."""

    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class Node:
    """`label` is in lines: its id, unless that is too long. `tall` is its box on a narrow screen; None leaves it out there."""

    id: str
    kind: Kind
    wide: Box
    tall: Box | None
    label: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """`topic` shows whether anything flows; `side` edges leave and arrive at the right, beside what lies between."""

    start: str
    end: str
    topic: str
    side: bool = False
    tall: bool = True


NODES = (
    Node(services.BANK, "service", Box(0, 68, 130, 76), Box(0, 0, 171, 76)),
    Node(topics.BANK_TRANSACTIONS, "topic", Box(160, 80, 140, 52), Box(187, 12, 171, 52)),
    Node(services.INGESTOR, "service", Box(330, 68, 150, 76), Box(0, 116, 171, 76)),
    Node(topics.BANK_TRANSACTIONS_DLQ, "dead-letters", Box(518, 244, 170, 52), Box(187, 128, 171, 52)),
    Node(topics.FRAUDULENT_TRANSACTIONS, "topic", Box(518, 26, 170, 52), Box(0, 232, 171, 52)),
    Node(topics.UNIDENTIFIED_TRANSACTIONS, "topic", Box(518, 134, 170, 52), Box(187, 232, 171, 52)),
    Node(services.KSQLDB, "service", Box(726, 14, 168, 76), Box(0, 324, 171, 92), ("ksqlDB",)),
    Node(
        services.PROCESSOR,
        "service",
        Box(726, 114, 168, 92),
        Box(187, 324, 171, 92),
        ("unidentified-", "transactions-processor"),
    ),
    Node(services.VALIDATOR, "service", Box(726, 240, 168, 60), None),
    Node(
        topics.FRAUDULENT_TRANSACTIONS_RESULT,
        "topic",
        Box(952, 18, 168, 68),
        Box(0, 456, 171, 68),
        ("fraudulent-", "transactions-result"),
    ),
    Node(topics.USERS, "topic", Box(952, 134, 168, 52), Box(187, 464, 171, 52)),
    Node(
        topics.UNIDENTIFIED_TRANSACTIONS_DLQ,
        "dead-letters",
        Box(952, 236, 168, 68),
        Box(0, 680, 171, 68),
        ("unidentified-", "transactions-dlq"),
    ),
    Node(MONGODB, "store", Box(1172, 14, 140, 76), Box(0, 564, 171, 76)),
    Node(S3, "store", Box(1172, 122, 140, 76), Box(187, 564, 171, 76)),
    Node(topics.S3_SINK_DLQ, "dead-letters", Box(1172, 226, 140, 48), Box(187, 714, 171, 42)),
    Node(topics.MONGODB_SINK_DLQ, "dead-letters", Box(1172, 286, 140, 48), Box(187, 664, 171, 42)),
    # What carries it all.
    Node(services.KAFKA, "service", Box(0, 264, 130, 60), Box(0, 776, 108, 60), ("Kafka",)),
    Node(services.KAFKA_CONNECT, "service", Box(160, 264, 140, 60), Box(124, 776, 110, 60), ("Kafka Connect",)),
    Node(services.WATCHDOG, "service", Box(330, 264, 150, 60), Box(250, 776, 108, 60), ("watchdog",)),
)
EDGES = (
    Edge(services.BANK, topics.BANK_TRANSACTIONS, topics.BANK_TRANSACTIONS),
    Edge(topics.BANK_TRANSACTIONS, services.INGESTOR, topics.BANK_TRANSACTIONS),
    Edge(services.INGESTOR, topics.FRAUDULENT_TRANSACTIONS, topics.FRAUDULENT_TRANSACTIONS),
    Edge(services.INGESTOR, topics.UNIDENTIFIED_TRANSACTIONS, topics.UNIDENTIFIED_TRANSACTIONS),
    Edge(services.INGESTOR, topics.BANK_TRANSACTIONS_DLQ, topics.BANK_TRANSACTIONS_DLQ),
    Edge(topics.FRAUDULENT_TRANSACTIONS, services.KSQLDB, topics.FRAUDULENT_TRANSACTIONS),
    Edge(topics.UNIDENTIFIED_TRANSACTIONS, services.PROCESSOR, topics.UNIDENTIFIED_TRANSACTIONS),
    Edge(services.PROCESSOR, services.VALIDATOR, topics.UNIDENTIFIED_TRANSACTIONS),
    *(Edge(service, topic, topic) for service in (services.KSQLDB, services.PROCESSOR) for topic in services.ROWS),
    Edge(services.PROCESSOR, topics.UNIDENTIFIED_TRANSACTIONS_DLQ, topics.UNIDENTIFIED_TRANSACTIONS_DLQ, tall=False),
    *(Edge(topic, store, topic) for topic in services.ROWS for store in (MONGODB, S3)),
    Edge(S3, topics.S3_SINK_DLQ, topics.S3_SINK_DLQ, tall=False),
    Edge(MONGODB, topics.MONGODB_SINK_DLQ, topics.MONGODB_SINK_DLQ, side=True, tall=False),
)


def picture() -> dict[str, Any]:
    """What does not change, for the browser."""
    return {
        "nodes": [{**asdict(node), "label": node.label or (node.id,)} for node in NODES],
        "edges": [asdict(edge) for edge in EDGES],
        "wide": WIDE_SIZE,
        "tall": TALL_SIZE,
    }


def values(state: State) -> dict[str, dict[str, Any]]:
    """What each node says: its `state` in a word with its `tone`, and more `lines`."""
    shown = {node.id: _topic(state, node) for node in NODES if node.kind in ("topic", "dead-letters")}
    sends = state.topics[topics.BANK_TRANSACTIONS].rate > 0
    shown[services.BANK] = _said("ok" if sends else "quiet", "sends" if sends else "is quiet")
    for name in (services.KAFKA, services.KAFKA_CONNECT, services.WATCHDOG):
        shown[name] = _health(state, name) if name in state.services else _said("quiet", "not known")
    for name, source in (
        (services.INGESTOR, topics.BANK_TRANSACTIONS),
        (services.KSQLDB, topics.FRAUDULENT_TRANSACTIONS),
        (services.PROCESSOR, topics.UNIDENTIFIED_TRANSACTIONS),
    ):
        shown[name] = _health(state, name, _lag(state, source))
    shown[services.VALIDATOR] = _health(state, services.VALIDATOR)
    if state.validator_calls:
        shown[services.VALIDATOR]["lines"] = [f"{state.validator_calls.p50 * 1000:,.0f} ms a call"]
    stopped = [query.state for query in state.queries.values() if query.state != RUNNING]
    if stopped and shown[services.KSQLDB]["tone"] == "ok":
        shown[services.KSQLDB] |= _said("bad", f"a query is {stopped[0]}")
    sinks = {name: connector for name, connector in state.connectors.items() if connector.topics}
    shown[MONGODB] = _sink(state, {name: one for name, one in sinks.items() if not name.startswith("s3-")})
    shown[S3] = (
        _health(state, services.ARCHIVER, [_behind(state, [services.ARCHIVER])])
        if services.ARCHIVER in state.services
        else _sink(state, {name: one for name, one in sinks.items() if name.startswith("s3-")})
    )
    # What has no health of its own that can be asked, and is known not to run.
    for node, name in ((services.BANK, services.BANK), (MONGODB, services.MONGODB), (S3, services.S3)):
        if name in state.services and not state.services[name].up:
            shown[node] |= {"tone": "bad", "state": state.word(name)}
    return shown


def _said(tone: Tone, text: str, lines: Iterable[str] = ()) -> dict[str, Any]:
    return {"tone": tone, "state": text, "lines": list(lines)}


def _topic(state: State, node: Node) -> dict[str, Any]:
    topic = state.topics[node.id]
    dead = node.kind == "dead-letters" and topic.records
    return _said("bad" if dead else "ok" if topic.rate else "quiet", "", [f"{topic.records:,} · {topic.rate:,.1f}/s"])


def _health(state: State, name: str, lines: Iterable[str] = ()) -> dict[str, Any]:
    word = state.word(name)
    return _said("ok" if word == "up" else "bad", word, lines)


def _lag(state: State, source: str) -> list[str]:
    """How far the groups that read a topic are behind; they read the same records, so the farthest counts."""
    return [_behind(state, [name for name, group in state.groups.items() if source in group.lag])]


def _behind(state: State, groups: Iterable[str]) -> str:
    lags = [state.groups[name].behind for name in groups if name in state.groups]
    return f"lag {max(lags):,}" if lags else "lag not known"


def _sink(state: State, connectors: Mapping[str, Connector]) -> dict[str, Any]:
    if not connectors:
        return _said("quiet", "no connector")
    lines = [_behind(state, map(services.connector_group, connectors))]
    if all(connector.runs for connector in connectors.values()):
        return _said("ok", "up", lines)
    states = {
        one for connector in connectors.values() for one in (connector.state, *(task.state for task in connector.tasks))
    }
    return _said("bad", ", ".join(sorted(states - {RUNNING})).lower() or "no task", lines)
