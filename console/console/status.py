"""`python -m console.status [--json]`: what the running console knows. Ends with 0 only when nothing is wrong: a warning is
shown, and changes nothing of that."""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import requests

from console.terminal import screen, table
from runtime import direct

ANSWER_SECONDS = 5.0


def fetch(url: str) -> dict[str, Any]:
    """The console's state; when it does not answer, that alone."""
    try:
        with direct.session() as http:
            answer = http.get(f"{url}/api/state", timeout=ANSWER_SECONDS)
            answer.raise_for_status()
            return answer.json()
    except (requests.RequestException, ValueError):
        return {"healthy": False, "faults": [f"the console does not answer at {url}"]}


def show(status: Mapping[str, Any], as_json: bool) -> int:
    """Print it, for people or for programs. Returns the exit code."""
    if as_json:
        sys.stdout.write(json.dumps(status, indent=1) + "\n")
    else:
        screen().print(table(status))
    return 0 if status["healthy"] else 1


def own_url() -> str:
    """Of the console of this machine or container."""
    return f"http://127.0.0.1:{os.environ.get('CONSOLE_PORT', '8080')}"


def main() -> int:
    """Ask the console of this machine or container."""
    parser = argparse.ArgumentParser(prog="console.status")
    parser.add_argument("--json", action="store_true")
    return show(fetch(own_url()), parser.parse_args().json)


if __name__ == "__main__":
    sys.exit(main())
