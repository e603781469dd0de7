#!/usr/bin/env bash
# Sends the statements of ksqldb/*.sql to a ksqlDB server; safe to run again. The environment is in init_ksqldb.py.
set -euo pipefail
exec "${PYTHON:-python3}" "$(dirname "${BASH_SOURCE[0]}")/init_ksqldb.py"
