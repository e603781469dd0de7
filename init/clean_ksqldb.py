"""Terminates the queries and drops the streams of ksqldb/*.sql; the topics and their records stay. Safe to run again.

Environment: as init_ksqldb.py.
"""

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the script is run by its path

from init.ksqldb_server import Failed, files_of, ours, quoted, server_from_environment, streams_of

logger = logging.getLogger("clean_ksqldb")

CONSEQUENCES = """\
The topics stay, and so do all records. The queries that init_ksqldb makes next read fraudulent-transactions from its earliest
record again and write every row once more. MongoDB: no difference, a row replaces the document with its id. S3: every line
comes once more, behind those that are there."""


def main() -> int:
    """Say what will be done, and do it. Returns the exit code. Raises Failed."""
    server, seconds, folder = server_from_environment()
    streams = streams_of(files_of(folder))
    server.wait(seconds)
    there, others = ours(server, streams)
    names = [*others, *there]
    if not names:
        logger.info("none of the streams is there")
        return 0
    queries = [query["id"] for query in server.queries() if set(query["sinks"]) & set(names)]
    logger.info("terminates %s", ", ".join(queries) or "no query")
    logger.info("drops %s", ", ".join(names))
    logger.info(CONSEQUENCES)
    if sys.stdin.isatty() and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        logger.info("nothing was changed")
        return 1
    for query in queries:
        server.run(f"TERMINATE {quoted(query)};")
    for name in names:
        server.run(f"DROP STREAM IF EXISTS {quoted(name)};")
    logger.info("done: start again, or run init/init_ksqldb.sh")
    return 0


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"clean_ksqldb: {error}")
