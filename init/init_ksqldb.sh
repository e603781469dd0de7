#!/usr/bin/env bash
# Sends the statements of ksqldb/*.sql to a ksqlDB server, in the order of their names, one request a file.
# Safe to run again: every statement is IF NOT EXISTS. Exits with an error at the first file that the server refuses.
#
#   KSQLDB_URL           the server (default http://localhost:8088)
#   KSQLDB_WAIT_SECONDS  how long to wait for it to be ready (default 120)
#   KSQLDB_SQL_DIR       the folder of the statements (default ksqldb/ of this repository)
set -euo pipefail

url=${KSQLDB_URL:-http://localhost:8088}
wait_seconds=${KSQLDB_WAIT_SECONDS:-120}
sql_dir=${KSQLDB_SQL_DIR:-$(dirname "${BASH_SOURCE[0]}")/../ksqldb}

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

fail() {
    echo "init_ksqldb: $*" >&2
    exit 1
}

# Waits until /info answers 200: the server listens before it can take statements, and answers 503 until then.
wait_for_server() {
    local deadline=$((SECONDS + wait_seconds)) said=-10 status
    while true; do
        status=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 5 "$url/info" || true)
        [ "$status" = 200 ] && return
        if ((SECONDS >= deadline)); then
            fail "ksqlDB at $url is not ready after ${wait_seconds} s (last answer: HTTP $status)"
        fi
        if ((SECONDS - said >= 5)); then
            echo "init_ksqldb: waiting for ksqlDB at $url (HTTP $status)"
            said=$SECONDS
        fi
        sleep 0.5
    done
}

# A file's statements as a request. earliest: rows that came before the statement count as well.
request_of() {
    "${PYTHON:-python3}" -c '
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    print(json.dumps({"ksql": file.read(), "streamsProperties": {"auto.offset.reset": "earliest"}}))
' "$1"
}

# Says what the server answered to a file; fails unless every statement of it was carried out or had nothing to do.
report() {
    "${PYTHON:-python3}" -c '
import json, sys

name, status, path = sys.argv[1:]
with open(path, encoding="utf-8", errors="replace") as file:
    text = file.read()
try:
    answer = json.loads(text)
except ValueError:
    sys.exit(f"init_ksqldb: {name}: FAILED (HTTP {status}): {text[:500]}")
if status != "200" or not isinstance(answer, list):
    message = answer.get("message", text[:500]) if isinstance(answer, dict) else text[:500]
    sys.exit(f"init_ksqldb: {name}: FAILED (HTTP {status}): {message}")
if not answer:
    sys.exit(f"init_ksqldb: {name}: FAILED: the file has no statement")
for entity in answer:
    if entity.get("@type") == "warning_entity" and "already exists" in entity.get("message", ""):
        print(f"init_ksqldb: {name}: already there")
        continue
    command = entity.get("commandStatus") or {}
    if command.get("status") != "SUCCESS":
        message = command.get("message") or entity.get("message") or json.dumps(entity)
        sys.exit(f"init_ksqldb: {name}: FAILED: {message}")
    message = command.get("message")
    print(f"init_ksqldb: {name}: created ({message})")
' "$1" "$2" "$answer"
}

shopt -s nullglob
files=("$sql_dir"/*.sql)
((${#files[@]} > 0)) || fail "no *.sql in $sql_dir"

wait_for_server
for file in "${files[@]}"; do
    request=$(request_of "$file")
    if ! status=$(curl --silent --show-error --output "$answer" --write-out '%{http_code}' --max-time 60 \
        --header 'Content-Type: application/json' --data-binary @- "$url/ksql" <<<"$request"); then
        fail "$(basename "$file"): no answer from $url/ksql"
    fi
    report "$(basename "$file")" "$status"
done
echo "init_ksqldb: all ${#files[@]} statements are in place"
