#!/usr/bin/env bash
# Runs the checks and tests in an environment of their own: bash tests/run.sh [SUITE [pytest arguments]]
# The suites are lint, unit, integration, compose, console, resilience and resilience-long (the same drills and longer ones);
# without a name all but the last run, in this order.
set -euo pipefail
CDPATH='' cd "$(dirname "$0")/.."
# shellcheck source=local/bootstrap.sh
. local/bootstrap.sh

python=$(make_environment "$root/tests/requirements.txt")
# Tests say themselves which settings they need: what is in the environment or in .env is for the user's own stack.
unset "${!BANK_@}" "${!VALIDATOR_@}" "${!FRAUD_VALIDATOR_@}" "${!TOPIC_@}" "${!MY_@}" S3_BUCKET S3_PREFIX LOCAL_DIR
export PYTHON_DOTENV_DISABLED=1

lint() {
    "$python" -m ruff check .
    "$python" -m ruff format --check .
    "$python" -m pyright --pythonpath "$python"
    git ls-files -z '*.sh' | xargs -0 "$(dirname "$python")/shellcheck" --external-sources .ci/run
}

suite() {
    case $1 in
    lint) lint ;;
    unit | integration | console | compose) "$python" -m pytest "tests/$1" "${@:2}" ;;
    resilience) "$python" -m pytest tests/resilience -m "not long" --capture=tee-sys "${@:2}" ;;
    resilience-long) "$python" -m pytest tests/resilience --capture=tee-sys "${@:2}" ;;
    *) fail "there is no suite '$1': lint, unit, integration, console, compose, resilience, resilience-long, or nothing for all" ;;
    esac
}

if [ $# -gt 0 ]; then
    suite "$@"
else
    for name in lint unit integration compose console resilience; do suite $name; done
fi
