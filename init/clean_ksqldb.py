"""Terminates the queries and drops the streams of ksqldb/*.sql; the topics and their records stay. Safe to run again.

Environment: as init_ksqldb.py.
"""

import logging
import sys

from init.init_ksqldb import connect, ours, quoted, streams_of
from runtime.service import run_command

logger = logging.getLogger("clean_ksqldb")

CONSEQUENCES = """\
The topics and all of their records stay. The queries that init_ksqldb creates next read fraudulent-transactions from the earliest
record and write every row again. MongoDB: still one document per id, each replaced by the row that is written last.
S3: every row is written again beside the existing ones."""


def main() -> int:
    """Log what will be done, then do it. Returns the exit code. Raises UserError."""
    server, files = connect()
    there, others = ours(server, streams_of(files))
    names = [*others, *there]
    if not names:
        logger.info("none of the streams exists on %s", server.url)
        return 0
    queries = [query["id"] for query in server.queries() if set(query["sinks"]) & set(names)]
    logger.info("terminates %s", ", ".join(queries) or "no query")
    logger.info("drops %s of %s", ", ".join(names), server.url)
    logger.info(CONSEQUENCES)
    if sys.stdin.isatty() and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        logger.info("nothing was changed")
        return 1
    for query in queries:
        server.run(f"TERMINATE {quoted(query)};")
    for name in names:
        server.run(f"DROP STREAM IF EXISTS {quoted(name)};")
    logger.info("done: start the stack again, or run init/init_ksqldb.sh")
    return 0


if __name__ == "__main__":
    run_command(main)
