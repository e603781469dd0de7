"""What a person sees: the live view, and the list of addresses with how to look at each."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.tables import WHAT
from contracts import topics
from local.settings import ROOT, Settings

# A terminal of this size has room for what a topic holds, how to look at each address, and a line for each dead-letter topic.
WIDE, TALL = 130, 36
INDENT = "  "


def live(state: Mapping[str, Any], settings: Settings, width: int, height: int) -> RenderableType:
    """The flow with its counts and lags, the addresses, and one line about the processes; less of it in a small terminal."""
    counts, every = state["counts"] or {}, addresses(settings)
    if width >= WIDE and height >= TALL:
        fits = max(map(len, every.splitlines())) <= width
        where = [Text(every)] if fits else _packed(_short(settings), width)
        return Group(_flow(counts, topics.DEAD_LETTERS, WHAT), Text(), *where, Text(), _summary(state))
    rest = *_packed(_dead_letters(counts), width), *_packed(_short(settings), width)
    return Group(_flow(counts, (), None), *rest, _summary(state))


def addresses(settings: Settings) -> str:
    """Where everything is and how to look at it."""
    found = _addresses(settings)
    width = max(len(where) for _, where, _ in found)
    return "\n".join(f"  {name:<14} {where:<{width}}  {how}" for name, where, how in found)


def summary(state: Mapping[str, Any]) -> str:
    """One line of counts, for logs."""
    records = (state["counts"] or {}).get("records", {})
    return " ".join(
        f"{name}={records.get(name, 0)}" for name in topics.ALL if records.get(name) or name in topics.RECORDS
    )


def _addresses(settings: Settings) -> list[tuple[str, str, str]]:
    """What there is, where it is, and how to look at it."""
    base = settings.folders.base
    base = base.relative_to(ROOT) if base.is_relative_to(ROOT) else base
    query = f"{shlex.quote(str(base / 'python'))} queries"
    connectors = shlex.quote(f"{settings.connect_url}/connectors?expand=status")  # zsh looks for files of such a name
    mongodb = settings.mongodb.uri if settings.mongodb.embedded else "MongoDB Atlas (MY_MONGODB_CLUSTER)"
    console = f"http://localhost:{settings.ports.console_port}"
    return [
        ("console", console, "open it in a browser, or ./start.sh --status"),
        ("Kafka", settings.bootstrap, f"./start.sh --topic {topics.FRAUDULENT_TRANSACTIONS_RESULT} --from-beginning"),
        ("Kafka Connect", settings.connect_url, f"curl -s {connectors}"),
        ("ksqlDB", settings.ksqldb_url, "./start.sh --ksql"),
        ("validator", settings.validator_url, f"its API at {settings.validator_url}/docs"),
        ("MongoDB", mongodb, f"{query}/mongodb_join.py"),
        ("S3", settings.s3.endpoint or "AWS", f"{query}/athena_join.py"),
        ("data, logs", str(base), f"tail -f {shlex.quote(str(base / 'logs' / 'transactions-ingestor.log'))}"),
    ]


def _flow(counts: Mapping[str, Any], dead_letters: tuple[str, ...], what: Mapping[str, str] | None) -> Table:
    """Each topic, with what it holds if that is given, and below it who reads it and how far behind each is."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("topic, and who reads it", no_wrap=True)
    if what:
        table.add_column("what", no_wrap=True)
    for name in ("records", "per s", "lag"):
        table.add_column(name, justify="right", no_wrap=True)
    records, rates, readers = (counts.get(name, {}) for name in ("records", "rates", "readers"))
    for topic in (*topics.RECORDS, *dead_letters):
        holds = [what[topic]] if what else []
        rate = f"{rates[topic]:,.1f}" if topic in rates else "-"
        table.add_row(topic, *holds, _count(records.get(topic)), rate, "", style=_style(topic, records))
        for reader, lag in readers.get(topic, {}).items():
            table.add_row(INDENT + reader, *[""] * len(holds), "", "", f"{lag:,}")
    return table


def _dead_letters(counts: Mapping[str, Any]) -> Iterator[Text]:
    records = counts.get("records", {})
    for topic in topics.DEAD_LETTERS:
        yield Text(f"{topic} {_count(records.get(topic))}", _style(topic, records) or "")


def _short(settings: Settings) -> Iterator[Text]:
    for name, where, _ in _addresses(settings):
        yield Text(f"{name} {where}")


def _packed(cells: Iterator[Text], width: int) -> Iterator[Text]:
    """Lines of two cells, or of one that is too long for that; the order is kept."""
    second, line = width // 2 - 2, Text()
    for cell in cells:
        if line and len(line) < second and second + len(cell) <= width:
            line.pad_right(second - len(line))
            yield line.append_text(cell)
            line = Text()
        else:
            if line:
                yield line
            line = cell
    if line:
        yield line


def _style(topic: str, records: Mapping[str, int]) -> str | None:
    return "red" if topic in topics.DEAD_LETTERS and records.get(topic) else None


def _count(records: int | None) -> str:
    return "-" if records is None else f"{records:,}"


def _summary(state: Mapping[str, Any]) -> Text:
    ready = sum(service["phase"] == "ready" for service in state["services"].values())
    text = f"{ready} of {len(state['services'])} services ready, {state['rss_mib']:,} MiB"
    if state["ready_seconds"] is not None:
        text += f", started in {state['ready_seconds']} s"
    return Text(f"{text}. Ctrl-C stops all.")
