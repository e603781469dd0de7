#!/usr/bin/env bash
# Creates or updates the connectors of init/connectors/ and waits until each of them and all of its tasks are RUNNING.
# Safe to run again. Ends with an error, and says what the worker says, when one of them cannot be brought up.
set -euo pipefail

# Where the rows go. Each of these can be set from outside.
export MONGODB_DATABASE="${MONGODB_DATABASE:-fraudulent_transactions_db}"
export MONGODB_TRANSACTIONS_COLLECTION="${MONGODB_TRANSACTIONS_COLLECTION:-transactions}"
export MONGODB_USERS_COLLECTION="${MONGODB_USERS_COLLECTION:-users}"
export S3_BUCKET="${S3_BUCKET:-test0001-fraudulent-transactions-raw}"
export S3_PREFIX="${S3_PREFIX:-fraudulent-transactions}"
export S3_ENDPOINT="${S3_ENDPOINT:-}" # empty: AWS

# The worker, and how many seconds it and then each connector may take.
export KCONNECT_URL="${KCONNECT_URL:-http://localhost:8083}"
export KCONNECT_TIMEOUT="${KCONNECT_TIMEOUT:-120}"

# Credentials are not here: the files refer to the worker's own environment as ${env:NAME}, and that goes to the worker
# as it stands.
exec "${PYTHON:-python3}" - "$(dirname "${BASH_SOURCE[0]}")/connectors" <<'PYTHON'
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

URL = os.environ["KCONNECT_URL"].rstrip("/")
TIMEOUT = float(os.environ["KCONNECT_TIMEOUT"])


class WorkerError(Exception):
    """The worker's answer, or what is missing of it."""


def call(method, path, body=None):
    request = urllib.request.Request(URL + path, method=method, headers={"Content-Type": "application/json"})
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, data, timeout=30) as answer:
            return json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        if error.code in (404, 409, 500, 503):  # just created, rebalancing, starting
            raise TimeoutError(f"HTTP {error.code}") from None
        try:
            message = json.load(error)["message"]
        except (ValueError, KeyError):
            message = error.reason
        raise WorkerError(f"HTTP {error.code}: {message}") from None
    except (OSError, ValueError) as error:
        raise TimeoutError(str(error)) from None


def until(what, attempt):
    """Repeats `attempt` until it returns something; tells every five seconds what it waits for."""
    deadline = time.monotonic() + TIMEOUT
    told = time.monotonic()
    state = "no answer"
    while time.monotonic() < deadline:
        try:
            done, state = attempt()
            if done:
                return state
        except TimeoutError as error:
            state = str(error)
        if time.monotonic() - told >= 5:
            told = time.monotonic()
            print(f"waiting for {what}: {state}", flush=True)
        time.sleep(0.3)
    raise WorkerError(f"{what} not ready after {TIMEOUT:.0f} s: {state}")


def read(path):
    """The connector's configuration with the names filled in. What comes out empty is left out."""
    text = re.sub(r"\$\{([A-Z0-9_]+)\}", lambda match: os.environ[match[1]], path.read_text())
    return {name: value for name, value in json.loads(text).items() if value != ""}


def register(name, config):
    until(name, lambda: (True, call("PUT", f"/connectors/{name}/config", config)))
    # An unchanged configuration restarts nothing, so without this a second run would not repair what has failed.
    restart = f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true"
    until(name, lambda: (True, call("POST", restart)))


def wait_until_running(name):
    # The worker shows the failure from before a restart for a moment longer.
    stale_until = time.monotonic() + 3

    def attempt():
        status = call("GET", f"/connectors/{name}/status")
        parts = [("connector", status["connector"])] + [(f"task {task['id']}", task) for task in status["tasks"]]
        for part, state in parts:
            if state["state"] == "FAILED" and time.monotonic() > stale_until:
                trace = "\n  ".join(state.get("trace", "").splitlines()[:5])
                raise WorkerError(f"{part} has FAILED:\n  {trace}")
        states = ", ".join(f"{part} {state['state']}" for part, state in parts)
        return len(parts) > 1 and all(state["state"] == "RUNNING" for _, state in parts), states

    print(f"{name}: {until(name, attempt)}", flush=True)


def main(folder):
    plugins = until(f"Kafka Connect at {URL}", lambda: (True, call("GET", "/connector-plugins")))
    classes = {plugin["class"] for plugin in plugins}
    configs = {path.stem: read(path) for path in sorted(folder.glob("*.json"))}
    if configs["s3-sink"]["connector.class"] not in classes:
        del configs["s3-sink"]
        print("s3-sink: left out, the worker does not have the Aiven plugin (in the local mode an archiver writes to S3)", flush=True)
    for step in (register, lambda name, _: wait_until_running(name)):
        for name, config in configs.items():
            try:
                step(name, config)
            except WorkerError as error:
                raise WorkerError(f"{name}: {error}") from None


try:
    main(Path(sys.argv[1]))
except WorkerError as error:
    # The sink's messages quote a MongoDB URI that cannot be parsed, or whose host cannot be looked up, with the password.
    sys.exit("init_kconnect: " + re.sub(r"://\S+@", "://***@", str(error)))
PYTHON
