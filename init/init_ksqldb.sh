#!/usr/bin/env bash
# Sends the statements of ksqldb/*.sql to a ksqlDB server; safe to run again. The environment is in init_ksqldb.py.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec "${PYTHON:-python3}" -m init.init_ksqldb
