#!/usr/bin/env bash
# Starts and stops the stack: `./start.sh --help`. Sourcing it is the same as running it: the caller's shell is untouched.
if [ "${BASH_SOURCE[0]:-}" != "$0" ]; then
    bash "${BASH_SOURCE[0]:-$0}" "$@"
else
    set -euo pipefail
    root=$(cd "$(dirname "$0")" && pwd)

    usage() {
        cat <<'USAGE'
usage: source start.sh [--build] [--simulators]       start the stack in Docker Compose and wait until it is healthy
       ./start.sh --local [--detach]                  start the stack as plain processes, without Docker
       ./start.sh [--local] --status [--json]         what runs and how it is; exit code 0 only when all is well
       ./start.sh [--local] --stop                    stop it and keep its data
       ./start.sh [--local] --clean                   stop it and remove its data
       ./start.sh --topic NAME [--from-beginning]     print a topic's records as they come
       ./start.sh --replay-dlq NAME [--dry-run]       put dead letters back to the topics that they came from

  --build        build the images of this repository anew
  --simulators   use the bank and the validator of this repository in place of the third party's images
  --json         the status for programs
  --local        the local mode; without it --status, --stop, --topic and --replay-dlq take the local stack if it runs, else Docker
USAGE
    }

    wrong() {
        printf 'error: %s\n' "$1" >&2
        usage >&2
        exit 2
    }

    mode=auto
    command=up
    options=()
    topic=()
    status=()
    while [ $# -gt 0 ]; do
        case $1 in
        --local) mode=local ;;
        --json) status+=("$1") ;;
        --build | --simulators | --detach) options+=("$1") ;;
        --status | --stop | --clean)
            [ "$command" = up ] || wrong "--$command and $1 cannot be given together"
            command=${1#--}
            ;;
        --topic | --replay-dlq)
            [ $# -ge 2 ] || wrong "$1 needs the name of a topic"
            [ "$command" = up ] || wrong "--$command and $1 cannot be given together"
            command=${1#--}
            topic+=("$2")
            shift
            ;;
        --from-beginning | --dry-run) topic+=("$1") ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) wrong "unknown option $1" ;;
        esac
        shift
    done

    [ ${#status[@]} -eq 0 ] || [ "$command" = status ] || wrong "--json goes with --status"

    if [ $mode = auto ]; then
        mode=docker
        # The launcher of a running local stack has this file's lock; the file is gone when it has stopped.
        if [ "$command" != up ] && [ -e "${LOCAL_DIR:-$root/.local}/run/state.json" ]; then mode=local; fi
    fi
    case $command in
    up) arguments=(${options[@]+"${options[@]}"}) ;;
    topic | replay-dlq) arguments=("${topic[@]}") ;;
    status) arguments=(${status[@]+"${status[@]}"}) ;;
    *) arguments=() ;;
    esac
    case $mode in
    local) script=$root/local/bootstrap.sh ;;
    *) script=$root/init/compose.sh ;;
    esac
    exec bash "$script" "$command" ${arguments[@]+"${arguments[@]}"}
fi
