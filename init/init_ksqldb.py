"""Sends the statements of ksqldb/*.sql to a ksqlDB server, in the order of their names, one request per file.

Safe to run again: a stream that exists is compared with its file. Exits with an error at the first file that the
server rejects, or whose stream was created by a different statement.

Environment: KSQLDB_URL (http://localhost:8088), KSQLDB_WAIT_SECONDS (120: how long to wait for it to be ready),
KSQLDB_SQL_DIR (ksqldb/ of this repository).
"""

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from init.ksqldb_statements import NotUnderstood, Statement, created, same
from runtime.errors import UserError
from runtime.ksqldb import Entity, KsqlClient, KsqlError, split
from runtime.service import Environment, load_settings, run_command
from runtime.waiting import until

logger = logging.getLogger("init_ksqldb")

REMEDY = "run init/clean_ksqldb.sh and start again (it explains the consequences), or undo the change"


class Settings(Environment, env_prefix="KSQLDB_"):
    """Where the server is, how long to wait for it, and the folder of the statements."""

    url: str = "http://localhost:8088"
    wait_seconds: float = 120
    sql_dir: Path = Path(__file__).resolve().parent.parent / "ksqldb"


def main() -> None:
    """Execute every statement, unless its stream exists already. Raises UserError."""
    server, files = connect()
    for file in files:
        text = file.read_text("utf-8")
        try:
            entities = server.run(text)
            if not entities:
                raise UserError("FAILED: the file has no statement")
            for statement, entity in zip(split(text), entities, strict=False):
                logger.info("%s: %s", file.name, _outcome(server, statement, entity))
        except KsqlError as error:
            status = f" (HTTP {error.status})" if error.status else ""
            raise UserError(f"{file.name}: FAILED{status}: {error}") from None
        except UserError as error:
            raise UserError(f"{file.name}: {error}") from None
    _, others = ours(server, streams_of(files))
    if others:
        raise UserError(
            f"{', '.join(others)} writes to a topic of ksqldb/*.sql, but no file there creates it: {REMEDY}"
        )
    logger.info("the statements of all %d files are in place", len(files))


def connect() -> tuple[KsqlClient, list[Path]]:
    """The server once it is ready, and the files in the order of their names. Raises UserError.

    Queries read from the earliest offset: records from before a statement count as well.
    """
    settings = load_settings(Settings)
    files = sorted(settings.sql_dir.glob("*.sql"))
    if not files:
        raise UserError(f"no *.sql in {settings.sql_dir}")
    server = KsqlClient(settings.url, {"auto.offset.reset": "earliest"})
    until(server.info, settings.wait_seconds, f"ksqlDB at {server.url} is not ready", KsqlError)
    return server, files


def streams_of(files: Iterable[Path]) -> dict[str, Statement]:
    """The CREATE statements in the files, by name. A statement that only the server understands is skipped and logged."""
    found = {}
    for file in files:
        for text in split(file.read_text("utf-8")):
            try:
                statement = created(text)
            except NotUnderstood as error:
                logger.warning("%s: changes to this statement will not be noticed (%s)", file.name, error)
                continue
            if statement is not None:
                found[statement.name] = statement
    return found


def ours(server: KsqlClient, streams: dict[str, Statement]) -> tuple[list[str], list[str]]:
    """The streams on the server that the files create, and others that write to the same topics.

    The others are left over from a file that was removed, or whose stream was renamed. Both lists are in the order in which
    the streams can be dropped: readers first.
    """
    running = {stream["name"]: stream["topic"] for stream in server.run("SHOW STREAMS;")[0]["streams"]}
    topics = {running[name] for name, statement in streams.items() if name in running and statement.query is not None}
    sinks = {sink for query in server.queries() for sink in query["sinks"] if running.get(sink) in topics}
    return [name for name in reversed(streams) if name in running], sorted(sinks - streams.keys())


def quoted(name: str) -> str:
    """A name in backquotes, so that a statement can have any name."""
    return "`" + name.replace("`", "``") + "`"


def _outcome(server: KsqlClient, text: str, entity: Entity) -> str:
    """The outcome of a statement. Raises UserError when it failed, or when a different statement runs in its place."""
    status = entity.get("commandStatus") or {}
    if status.get("status") == "SUCCESS":
        return f"created ({status.get('message')})"
    message = status.get("message") or entity.get("message") or json.dumps(entity)
    if entity.get("@type") != "warning_entity" or "already exists" not in message:
        raise UserError(f"FAILED: {message}")
    try:
        wanted = created(text)
        assert wanted is not None  # nothing else can exist already
        (described,) = server.run(f"DESCRIBE {quoted(wanted.name)};")
        description = described["sourceDescription"]
        running = created(description["statement"])
        changed = running is None or not same(wanted, running)
    except NotUnderstood as error:
        return f"already there (not compared: {error})"
    if wanted.query is not None and not description["writeQueries"]:
        raise UserError(f"the stream {wanted.name} is there, but the query that writes it was terminated: {REMEDY}")
    if changed:
        raise UserError(f"the stream {wanted.name} runs another statement than the file has: {REMEDY}")
    return "already there"


if __name__ == "__main__":
    run_command(main)
