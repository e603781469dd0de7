"""What a person sees: the live table, and the list of addresses with how to look at each."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.tables import WHAT
from contracts import topics
from local.settings import ROOT, Settings

STAGES = (
    topics.BANK_TRANSACTIONS,
    topics.FRAUDULENT_TRANSACTIONS,
    topics.UNIDENTIFIED_TRANSACTIONS,
    topics.FRAUDULENT_TRANSACTIONS_RESULT,
    topics.USERS,
)


def live(state: Mapping[str, Any]) -> RenderableType:
    """Counts and rates by stage, what is yet to be done, and one line about the processes."""
    return Group(_stages(state["counts"]), _lags(state["counts"]), _summary(state))


def addresses(settings: Settings) -> str:
    """Where everything is and how to look at it."""
    base = settings.folders.base
    base = base.relative_to(ROOT) if base.is_relative_to(ROOT) else base
    query = f"{base / 'python'} queries"
    mongodb = settings.mongodb.uri if settings.mongodb.embedded else "MongoDB Atlas (MY_MONGODB_CLUSTER)"
    lines = [
        ("console", f"http://localhost:{settings.ports.console_port}", "open it in a browser, or ./start.sh --status"),
        ("Kafka", settings.bootstrap, f"./start.sh --topic {topics.FRAUDULENT_TRANSACTIONS_RESULT} --from-beginning"),
        ("Kafka Connect", settings.connect_url, f"curl -s {settings.connect_url}/connectors?expand=status"),
        ("ksqlDB", settings.ksqldb_url, "./start.sh --ksql"),
        ("validator", settings.validator_url, f"open {settings.validator_url}/docs"),
        ("MongoDB", mongodb, f"{query}/mongodb_join.py"),
        ("S3", settings.s3.endpoint or "AWS", f"{query}/athena_join.py"),
        ("data, logs", str(base), f"tail -f {base / 'logs' / 'transactions-ingestor.log'}"),
    ]
    width = max(len(where) for _, where, _ in lines)
    return "\n".join(f"  {name:<14} {where:<{width}}  {how}" for name, where, how in lines)


def summary(state: Mapping[str, Any]) -> str:
    """One line of counts, for logs."""
    records = (state["counts"] or {}).get("records", {})
    return " ".join(f"{name}={records.get(name, 0)}" for name in topics.ALL if records.get(name) or name in STAGES)


def _stages(counts: Mapping[str, Any] | None) -> Table:
    table = Table(title="stages", title_justify="left")
    table.add_column("topic", no_wrap=True)
    table.add_column("what")
    table.add_column("records", justify="right")
    table.add_column("a second", justify="right")
    records, rates = (counts or {}).get("records", {}), (counts or {}).get("rates", {})
    for name in STAGES:
        table.add_row(name, WHAT[name], f"{records.get(name, 0):,}", f"{rates.get(name, 0):.1f}")
    for name in topics.DEAD_LETTERS:
        if records.get(name):
            table.add_row(name, WHAT[name], f"{records[name]:,}", f"{rates.get(name, 0):.1f}", style="red")
    return table


def _lags(counts: Mapping[str, Any] | None) -> Table:
    table = Table(title="not yet processed", title_justify="left")
    table.add_column("consumer group", overflow="fold")
    table.add_column("lag", justify="right")
    for group, lag in sorted((counts or {}).get("lags", {}).items()):
        table.add_row(group, f"{lag:,}")
    return table


def _summary(state: Mapping[str, Any]) -> Text:
    ready = sum(part["phase"] == "ready" for part in state["parts"].values())
    text = f"{ready} of {len(state['parts'])} parts ready, {state['rss_mib']:,} MiB resident in all"
    if state["ready_seconds"] is not None:
        text += f", started in {state['ready_seconds']} s"
    return Text(text)
