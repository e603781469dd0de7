"""`python -m benchmarks`; run.sh calls it."""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import capacity, cases, console_cost, trace, whole_stack
from benchmarks.cases import FULL, QUICK, Plan
from benchmarks.report import Row, document, machine, table
from local.settings import ROOT

CASES: dict[str, Callable[[Plan], list[Row]]] = {
    "ingestor": cases.ingestor,
    "processor": cases.processor,
    "replicas": cases.replicas,
    "ksqldb": cases.ksqldb,
    "tracing": cases.tracing,
    "trace": trace.trace,
    "stack": whole_stack.end_to_end,
    "capacity": capacity.capacity,
    "console": console_cost.console,
}

FULL_ONLY = {"tracing", "capacity", "console"}


def main() -> int:
    """Run what is asked for, print the table, write the JSON. A case that fails raises, after both have what came before it."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--quick",
        action="store_true",
        help=f"about two minutes: all but {', '.join(sorted(FULL_ONLY))} once, no timing asserted",
    )
    mode.add_argument("--soak", action="store_true", help="the whole stack for ten minutes: memory and lag")
    parser.add_argument("--cases", nargs="+", choices=CASES, help="only these")
    parser.add_argument("--json", type=Path, default=ROOT / ".local" / "benchmarks.json", help="where figures go")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    started = time.monotonic()
    if arguments.soak:
        name, measures = "soak", [whole_stack.soak]
    else:
        name, plan = ("quick", QUICK) if arguments.quick else ("full", FULL)
        chosen = arguments.cases or [case for case in CASES if plan is FULL or case not in FULL_ONLY]
        measures = [partial(CASES[case], plan) for case in chosen]
    rows: list[Row] = []
    try:
        for measure in measures:
            rows += measure()
    finally:
        seconds = time.monotonic() - started
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(document(rows, name, seconds), indent=1))
        sys.stdout.write(f"{table(rows)}\n\n{name} run of {seconds:.0f} s on {machine()}; also in {arguments.json}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
