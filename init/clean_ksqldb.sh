#!/usr/bin/env bash
# Removes the queries and streams of ksqldb/*.sql from ksqlDB, so that changed files can take their place; topics stay. It says
# what that means before it does it. Takes the local stack if it runs, else Docker's if that runs, else the stopped local one; with
# KSQLDB_URL that server. Safe to run again.
set -euo pipefail
root=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${LOCAL_DIR:=$root/.local} in /*) ;; *) LOCAL_DIR=$PWD/$LOCAL_DIR ;; esac
export LOCAL_DIR

if [[ -n "${KSQLDB_URL:-}" ]]; then
    cd "$root"
    exec "${PYTHON:-python3}" -m init.clean_ksqldb
elif ! bash "$root/local/is_running.sh" && bash "$root/init/compose.sh" running 2>/dev/null; then
    exec bash "$root/init/compose.sh" clean-ksqldb
elif [[ -d "$LOCAL_DIR/data" && -f "$LOCAL_DIR/run/lock" ]]; then
    exec bash "$root/local/bootstrap.sh" clean-ksqldb
fi
echo "error: this clone has no stack: ./start.sh --local starts one, source start.sh --build one in Docker" >&2
exit 1
