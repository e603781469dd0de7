#!/usr/bin/env bash
# Runs the benchmarks on a stack of their own: bash benchmarks/run.sh [--quick | --soak] [--cases NAME ...] [--json FILE]
# --quick takes about two minutes and checks that the cases work; --soak runs the whole stack for 13 minutes.
set -euo pipefail
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=local/bootstrap.sh
. local/bootstrap.sh

python=$(make_environment "$root/tests/requirements.txt")
# The benchmarks say themselves which settings they need: what is in the environment or in .env is for the user's own stack.
unset "${!BANK_@}" "${!VALIDATOR_@}" "${!FRAUD_VALIDATOR_@}" "${!TOPIC_@}" "${!MY_@}" S3_BUCKET S3_PREFIX LOCAL_DIR
export PYTHON_DOTENV_DISABLED=1
PYTHONPATH=.:$sources exec "$python" -m benchmarks "$@"
