#!/usr/bin/env bash
# Finds Python, makes the local mode's environment once (in the user's cache), and hands over to `python -m local`.
# Usage: bootstrap.sh COMMAND [ARG ...]; sourced by tests/run.sh and benchmarks/run.sh for make_environment and sources.
set -euo pipefail
root=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# Where Python finds what is not at the top; relative, because the clone's path may have a colon in it.
sources=console:transactions-ingestor:unidentified-transactions-processor:simulators/multi-bank-system:simulators/fraud-validator-api

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# What the user's shell sets for other Pythons would keep this one from its own files.
for name in "${!PYTHON@}"; do
    case $name in PYTHON_*) ;; *) unset "$name" ;; esac
done

# Why: GLIBC_TUNABLES in local/environment.py
export GLIBC_TUNABLES=glibc.malloc.perturb=85:glibc.malloc.tcache_count=0

# The first Python on PATH for which all packages are available.
find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if [[ $("$candidate" --version 2>/dev/null) =~ ^Python\ 3\.1[1-4]\. ]]; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11 to 3.14 is needed and none is on PATH: install one (on Debian and Ubuntu: apt install python3 python3-venv)"
}

# The folder that holds all downloads of this user; a relative XDG_CACHE_HOME counts as none, as its specification has it.
cache_folder() {
    local home=${HOME:-}
    if [ -z "$home" ]; then
        unset HOME
        home=~ # as the system's list of users has it
    fi
    case ${XDG_CACHE_HOME:-} in
    /*) printf '%s' "$XDG_CACHE_HOME" ;;
    *) printf '%s' "$home/.cache" ;;
    esac
}

# make_environment REQUIREMENTS [PYTHON]: prints the path of a Python that has them, or PYTHON where they would have to be installed.
make_environment() {
    local found
    if found=$(find_python 2>/dev/null); then
        "$found" -I "$root/local/install.py" "$(cache_folder)/realtime-fraud-detection" "$@"
    elif [ -x "${2:-}" ]; then
        printf '%s\n' "$2"
    else
        find_python
    fi
}

# Whether a stack was started in LOCAL_DIR: else what is there is somebody else's, and nothing is touched.
is_ours() { [ -f "$LOCAL_DIR/run/lock" ] || grep -qs '/run/stores\.env' "$LOCAL_DIR/python"; }

# Whether the first start was interrupted before anything ran.
is_untouched() {
    local name
    for name in python data logs ksql-history run/state.json; do
        [ ! -e "$LOCAL_DIR/$name" ] || return 1
    done
}

# Everything that a start needs of LOCAL_DIR, before it downloads anything.
check_local_dir() {
    local name probe=$LOCAL_DIR/.probe.$$ example="as in LOCAL_DIR=/var/tmp/fraud-detection ./start.sh --local"
    case $LOCAL_DIR in
    *$'\n'*) fail "the path of LOCAL_DIR has a line break: set it to one without, $example" ;;
    esac
    if ! { mkdir -p "$LOCAL_DIR" && printf '#!/bin/sh\n' >"$probe"; } 2>/dev/null; then
        fail "nothing can be written in $LOCAL_DIR: make space there, or set LOCAL_DIR to a folder of your own, $example"
    fi
    chmod +x "$probe"
    "$probe" 2>/dev/null || {
        rm -f "$probe"
        fail "$LOCAL_DIR is on a file system from which nothing may be run (noexec), and Kafka's libraries for snappy and zstd are: set LOCAL_DIR to another folder, $example"
    }
    rm -f "$probe"
    if is_ours; then return; fi
    rmdir "$LOCAL_DIR/run" 2>/dev/null || : # of a start that was interrupted just here
    for name in data logs ksql-history python run; do # Folders.made in local/settings.py
        is_ours || [ ! -e "$LOCAL_DIR/$name" ] ||
            fail "$LOCAL_DIR/$name is not this stack's, which would use it, and --clean would remove it: remove it yourself if an earlier stack left it, or set LOCAL_DIR to another folder, $example"
    done
    { mkdir -p "$LOCAL_DIR/run" && : >>"$LOCAL_DIR/run/lock"; } 2>/dev/null ||
        fail "nothing can be written in $LOCAL_DIR/run: make space there"
}

# quoted TEXT: as a word of a shell script.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# write_python PYTHON: for people, a Python that has what the queries need, and knows where the stores of the running stack are.
write_python() {
    local stores script
    stores=$(quoted "$LOCAL_DIR/run/stores.env")
    script=$(
        cat <<SCRIPT
#!/bin/sh
if [ ! -e $stores ]; then
    echo 'error: the local stack is not running: ./start.sh --local starts it' >&2
    exit 1
fi
# What the shell has for other stores, other Pythons or the way to the internet is not for these.
unset \$(env | sed -nE 's/^((AWS|S3|MONGODB|PYTHON)[A-Z0-9_]*)=.*/\1/p')
set -a
no_proxy="\${no_proxy:-\${NO_PROXY:-}},127.0.0.1,localhost"
. $stores
exec $(quoted "$1") "\$@"
SCRIPT
    )
    # Whoever runs it at this moment has the old file.
    { printf '%s\n' "$script" >"$LOCAL_DIR/python.new"; } 2>/dev/null || fail "$LOCAL_DIR/python cannot be written: is there space on its disk?"
    chmod +x "$LOCAL_DIR/python.new"
    mv -f "$LOCAL_DIR/python.new" "$LOCAL_DIR/python"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    if [ "$1" = up ]; then
        check_local_dir
    elif ! is_ours || is_untouched; then # nothing to download for
        [ "$1" != clean ] || ! is_ours || { rm "$LOCAL_DIR/run/lock" && rmdir "$LOCAL_DIR/run" "$LOCAL_DIR"; } 2>/dev/null || :
        case $1 in
        stop | clean) echo 'the local stack is not running' && exit ;;
        *) fail "the local stack is not running: ./start.sh --local starts it" ;;
        esac
    fi
    XDG_CACHE_HOME=$(cache_folder)
    started_with=
    # Where the packages of this shell's Python would have to be installed, the stack's own Python is used.
    [ "$1" = up ] || started_with=$(sed -n "s/^exec '\(.*\)' \"\$@\"\$/\1/p" "$LOCAL_DIR/python" 2>/dev/null | sed "s/'\\\\''/'/g") || :
    python=$(make_environment "$root/local/requirements.txt" ${started_with:+"$started_with"})
    cd "$root"
    if [ "$1" = up ]; then write_python "$python"; fi
    # The launcher shows what the console says in the console's own words, and checks the services' settings by their classes.
    PYTHONPATH=$sources
    # A proxy knows nothing of this machine's own ports.
    no_proxy="${no_proxy:-${NO_PROXY:-}},127.0.0.1,localhost"
    export XDG_CACHE_HOME PYTHONPATH no_proxy
    # Java takes the names of files to be in the locale's encoding, and Python as well.
    exec env LC_ALL=C.UTF-8 "$python" -m local "$@"
fi
