"""Sends the statements of ksqldb/*.sql to a ksqlDB server, in the order of their names, one request a file.

Safe to run again: a stream that is there is compared with its file. Ends with an error at the first file that the server
refuses, or whose stream runs another statement.

Environment: KSQLDB_URL (http://localhost:8088), KSQLDB_WAIT_SECONDS (120: how long to wait for it to be ready),
KSQLDB_SQL_DIR (ksqldb/ of this repository).
"""

import json
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the script is run by its path

from init.ksqldb_server import Entity, Failed, Server, files_of, ours, server_from_environment, streams_of
from init.ksqldb_statements import NotUnderstood, created, same, split

logger = logging.getLogger("init_ksqldb")

REMEDY = "run init/clean_ksqldb.sh and start again (it says what that means), or undo the change"


def main() -> None:
    """Put every statement in place. Raises Failed."""
    server, seconds, folder = server_from_environment()
    files = files_of(folder)
    server.wait(seconds)
    for file in files:
        text = file.read_text("utf-8")
        try:
            entities = server.run(text)
            if not entities:
                raise Failed("FAILED: the file has no statement")
            for statement, entity in zip(split(text), entities, strict=False):
                logger.info("%s: %s", file.name, _outcome(server, statement, entity))
        except Failed as error:
            raise Failed(f"{file.name}: {error}") from None
    _, others = ours(server, streams_of(files))
    if others:
        raise Failed(f"{', '.join(others)} writes to a topic of ksqldb/*.sql, but no file there makes it: {REMEDY}")
    logger.info("all %d statements are in place", len(files))


def _outcome(server: Server, text: str, entity: Entity) -> str:
    """What became of a statement. Raises Failed when it was not carried out, or when another one runs in its place."""
    status = entity.get("commandStatus") or {}
    if status.get("status") == "SUCCESS":
        return f"created ({status.get('message')})"
    message = status.get("message") or entity.get("message") or json.dumps(entity)
    if entity.get("@type") != "warning_entity" or "already exists" not in message:
        raise Failed(f"FAILED: {message}")
    try:
        wanted = created(text)
        assert wanted is not None  # nothing else can be there already
        running = created(server.statement_of(wanted.name))
        changed = running is None or not same(wanted, running)
    except NotUnderstood as error:
        return f"already there (not compared: {error})"
    if changed:
        raise Failed(f"the stream {wanted.name} runs another statement than the file has: {REMEDY}")
    return "already there"


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="init_ksqldb: %(message)s")
    try:
        main()
    except Failed as error:
        sys.exit(f"init_ksqldb: {error}")
