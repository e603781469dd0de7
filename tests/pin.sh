#!/usr/bin/env bash
# Pins every requirements.in, hashes included, to a requirements.txt beside it: one set of versions for all parts.
set -euo pipefail
CDPATH='' cd "$(dirname "$0")/.."
pin() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate "$@"; }
pin tests/requirements.in --output-file tests/requirements.txt
for folder in local local/installer init console transactions-ingestor unidentified-transactions-processor simulators/multi-bank-system simulators/fraud-validator-api; do
    pin "$folder/requirements.in" --constraint tests/requirements.txt --output-file "$folder/requirements.txt"
done
