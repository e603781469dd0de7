#!/usr/bin/env bash
# Runs the checks and tests in an environment of their own. Usage: bash tests/run.sh [lint|unit|integration] [pytest arguments]
# Without a name it runs them all, in this order.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=local/bootstrap.sh
. local/bootstrap.sh

python=$(make_environment "$root/tests/requirements.txt")
# Tests say themselves which settings they need.
unset "${!BANK_@}" "${!VALIDATOR_@}" "${!MY_@}" LOCAL_DIR

lint() {
    "$python" -m ruff check .
    "$python" -m ruff format --check .
    "$python" -m pyright --pythonpath "$python"
    git ls-files -z '*.sh' | xargs -0 "$(dirname "$python")/shellcheck" --external-sources .ci/run
}
unit() { "$python" -m pytest tests/unit "$@"; }
integration() { "$python" -m pytest tests/integration "$@"; }

case ${1:-all} in
all)
    lint
    unit
    integration
    ;;
lint | unit | integration) "$@" ;;
*)
    fail "there is no test suite '$1': lint, unit, integration, or nothing for all"
    ;;
esac
