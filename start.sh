#!/usr/bin/env bash
# Starts and stops the stack: `./start.sh --help`. Sourcing it is the same as running it: the caller's shell is untouched.
if [ "${BASH_SOURCE[0]:-}" != "$0" ]; then
    bash "${BASH_SOURCE[0]:-$0}" "$@"
else
    set -euo pipefail
    root=$(cd "$(dirname "$0")" && pwd)

    usage() {
        cat <<'USAGE'
usage: ./start.sh --local [--detach]                  start the stack as plain processes, without Docker
       ./start.sh --local --status | --stop | --clean
       ./start.sh --topic NAME [--from-beginning]     print a topic's records as they come
USAGE
    }

    local_mode=false
    command=up
    arguments=()
    while [ $# -gt 0 ]; do
        case $1 in
        --local) local_mode=true ;;
        --detach) arguments+=(--detach) ;;
        --status | --stop | --clean) command=${1#--} ;;
        --topic)
            [ $# -ge 2 ] || { usage >&2; exit 2; }
            command=topic
            arguments+=("$2")
            shift
            ;;
        --from-beginning) arguments+=(--from-beginning) ;;
        --help | -h) usage; exit 0 ;;
        *)
            printf 'error: unknown option %s\n' "$1" >&2
            usage >&2
            exit 2
            ;;
        esac
        shift
    done
    if $local_mode || [ "$command" != up ]; then
        exec bash "$root/local/bootstrap.sh" "$command" ${arguments[@]+"${arguments[@]}"}
    fi
    usage >&2
    exit 2
fi
