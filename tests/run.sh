#!/usr/bin/env bash
# Runs the checks and tests in an environment of their own: bash tests/run.sh [SUITE [pytest arguments]]
# The suites are lint, unit, integration, compose, console, resilience and long (of all suites what takes long);
# without a name all but the last run, in this order. `pictures` makes those in docs/ again, with chromium.
set -euo pipefail
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=local/bootstrap.sh
. local/bootstrap.sh

python=$(make_environment "$root/tests/requirements.txt")
# Tests say themselves which settings they need: what is in the environment or in .env is for the user's own stack.
unset "${!BANK_@}" "${!VALIDATOR_@}" "${!FRAUD_VALIDATOR_@}" "${!TOPIC_@}" "${!OTEL_@}" "${!MY_@}" S3_BUCKET S3_PREFIX LOCAL_DIR
export PYTHON_DOTENV_DISABLED=1

lint() {
    "$python" -m ruff check .
    "$python" -m ruff format --check .
    "$python" -m pyright --pythonpath "$python"
    "$python" -m tests.words
    git ls-files -z '*.sh' | xargs -0 "$(dirname "$python")/shellcheck" --external-sources .ci/run
}

suite() {
    case $1 in
    lint) lint ;;
    unit | integration | console | compose) "$python" -m pytest "tests/$1" -m "not long" "${@:2}" ;;
    resilience) "$python" -m pytest tests/resilience -m "not long" --capture=tee-sys "${@:2}" ;;
    long) "$python" -m pytest tests -m long --capture=tee-sys "${@:2}" ;;
    pictures) PYTHONPATH=.:$sources "$python" -m tests.pictures ;;
    *) fail "there is no suite '$1': lint, unit, integration, console, compose, resilience, long, pictures, or nothing for all but long" ;;
    esac
}

if [ $# -gt 0 ]; then
    suite "$@"
else
    for name in lint unit integration compose console resilience; do suite $name; done
fi
