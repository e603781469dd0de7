#!/usr/bin/env bash
# Finds Python, makes the local mode's environment once (in the user's cache), and hands over to `python -m local`.
# Usage: bootstrap.sh COMMAND [ARG ...]; sourced by tests/run.sh for make_environment.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# What the user's shell sets for other Pythons would keep this one from its own files.
for name in "${!PYTHON@}"; do
    case $name in PYTHON_*) ;; *) unset "$name" ;; esac
done

# The first Python on PATH that is new enough.
find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and none is on PATH: install it (on Debian and Ubuntu: apt install python3 python3-venv)"
}

# make_environment REQUIREMENTS: prints the path of a Python that has them. Its folder is named by what is in it, so
# that a second clone uses the same one, and it is moved into place when complete, so that an interrupted start leaves none.
make_environment() {
    local requirements=$1 python cache name folder
    python=$(find_python)
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/realtime-fraud-detection
    name=$("$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.version.encode() + sys.prefix.encode() + open(sys.argv[1], "rb").read()).hexdigest()[:16])' "$requirements")
    folder=$cache/python-$name
    if [ ! -x "$folder/bin/python" ]; then
        mkdir -p "$cache"
        printf 'installing the Python packages of %s, once (about 420 MB in %s)\n' "${requirements#"$root/"}" "$cache" >&2
        "$python" -m venv "$folder.$$" 2>/dev/null || {
            rm -rf "$folder.$$"
            fail "$python cannot make a virtual environment: install its venv module (on Debian and Ubuntu: apt install python3-venv)"
        }
        "$folder.$$/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$requirements" >&2 || {
            rm -rf "$folder.$$"
            fail "the Python packages could not be installed: see above, and start again"
        }
        # Unlike mv, this fails when another start was quicker.
        "$python" -c 'import os, sys; os.rename(*sys.argv[1:])' "$folder.$$" "$folder" 2>/dev/null || rm -rf "$folder.$$"
    fi
    printf '%s\n' "$folder/bin/python"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    python=$(make_environment "$root/local/requirements.txt")
    cd "$root"
    mkdir -p "$LOCAL_DIR"
    # For people: a Python that has what the queries need, and knows where the stores are.
    script=$(
        cat <<SCRIPT
#!/bin/sh
# What the shell has for other stores, other Pythons or the way to the internet is not for these.
unset \$(env | sed -nE 's/^((AWS|S3|MONGODB|PYTHON)[A-Z0-9_]*)=.*/\1/p')
set -a
no_proxy="\${no_proxy:-\${NO_PROXY:-}},127.0.0.1,localhost"
[ ! -e "$LOCAL_DIR/run/stores.env" ] || . "$LOCAL_DIR/run/stores.env"
exec "$python" "\$@"
SCRIPT
    )
    # Only when it is new: on a full disk the commands go on.
    if [ "$(cat "$LOCAL_DIR/python" 2>/dev/null)" != "$script" ]; then
        { printf '%s\n' "$script" >"$LOCAL_DIR/python"; } 2>/dev/null || fail "$LOCAL_DIR/python cannot be written: is there space on its disk?"
        chmod +x "$LOCAL_DIR/python"
    fi
    # The launcher shows what the console says in the console's own words, and checks the services' settings by their classes.
    export PYTHONPATH=$root/console:$root/transactions-ingestor:$root/unidentified-transactions-processor:$root/simulators/multi-bank-system:$root/simulators/fraud-validator-api
    exec "$python" -m local "$@"
fi
