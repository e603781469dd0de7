#!/usr/bin/env bash
# Creates or updates the connectors of init/connectors/ and waits until each of them and all of its tasks are RUNNING.
# Safe to run again. Ends with an error, and says what the worker says, when one of them cannot be brought up.
set -euo pipefail

# Where the rows go: in init_mongodb.py and init_s3.py the names are the same. The start of the stack sets S3_BUCKET and S3_ENDPOINT;
# for a worker elsewhere each can be set.
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
# as it stands. The broker, which is asked for the ids of the topics that go to S3, is KAFKA_BOOTSTRAP_SERVER.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec "${PYTHON:-python3}" -m init.init_kconnect
