"""`python -m console.trace ID [--json]`: what became of one transaction, as the running console knows it."""

import argparse
import json
import sys
from datetime import datetime
from typing import Any
from urllib.parse import quote

import requests
from rich.table import Table
from rich.text import Text

from console.status import own_url
from console.terminal import screen
from runtime import direct
from runtime.errors import UserError
from runtime.service import run_command

# As long as a look-up may take, and more.
ANSWER_SECONDS = 20.0
TONES = {"done": "green", "waiting": "yellow", "dead letter": "red", "unknown": "yellow"}


def show(url: str, identity: str, as_json: bool) -> int:
    """Print it, for people or for programs. Returns the exit code, 0 of a transaction that is known. Raises UserError."""
    try:
        with direct.session() as http:
            answer = http.get(f"{url}/api/transaction/{quote(identity, safe='')}", timeout=ANSWER_SECONDS)
            found = answer.json()
    except (requests.RequestException, ValueError):
        raise UserError(f"the console does not answer at {url}: ./start.sh --status shows why") from None
    if as_json:
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
        return 0 if answer.ok else 1
    if not answer.ok:
        raise UserError(found["summary"])
    terminal = screen()
    terminal.print(_stages(found))
    terminal.print(Text(found["summary"], TONES[found["status"]]))
    return 0


def _stages(found: dict[str, Any]) -> Table:
    days = {_local(stage["at"]).date() for stage in found["stages"] if stage["at"] is not None}
    table = Table(title=f"transaction {found['id']}, {min(days, default='')}", title_justify="left")
    for name in ("stage", "when", "after", "where", "detail"):
        table.add_column(name, justify="right" if name == "after" else "left", overflow="fold")
    for stage in found["stages"]:
        position, at, since = stage["position"], stage["at"], stage["since"]
        when = "" if at is None else f"{_local(at):{'%H:%M:%S' if len(days) == 1 else '%F %H:%M:%S'}}.{at % 1000:03}"
        table.add_row(
            Text(stage["name"], TONES[stage["status"]]),
            when,
            "" if since is None else f"{since:.3f} s",
            "" if position is None else "{topic} / {partition} @ {offset}".format(**position),
            stage["detail"],
        )
    return table


def _local(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000).astimezone()


def main() -> int:
    """Ask the console of this machine or container."""
    parser = argparse.ArgumentParser(prog="console.trace")
    parser.add_argument("id")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    return show(own_url(), arguments.id, arguments.json)


if __name__ == "__main__":
    run_command(main)
