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
       ./start.sh --ksql [STATEMENT]                  ask ksqlDB, at a prompt or one statement
       ./start.sh --replay-dlq NAME [--dry-run]       put dead letters back to the topics that they came from

  --build        build the images of this repository anew
  --simulators   use the bank and the validator of this repository in place of the third party's images
  --json         the status for programs
  --local        the local mode; without it --status, --stop, --topic, --ksql and --replay-dlq take the local stack if it
                 runs, else Docker, and --clean always takes Docker
USAGE
    }

    wrong() {
        printf 'error: %s\n' "$1" >&2
        usage >&2
        exit 2
    }

    mode=auto
    command=up
    topic=()
    options=()
    while [ $# -gt 0 ]; do
        case $1 in
        --local) mode=local ;;
        --build | --simulators | --detach | --json | --from-beginning | --dry-run) options+=("$1") ;;
        --status | --stop | --clean)
            [ "$command" = up ] || wrong "--$command and $1 cannot be given together"
            command=${1#--}
            ;;
        --topic | --replay-dlq)
            [ $# -ge 2 ] || wrong "$1 needs the name of a topic"
            [ "$command" = up ] || wrong "--$command and $1 cannot be given together"
            command=${1#--}
            topic=("$2")
            shift
            ;;
        --ksql)
            [ "$command" = up ] || wrong "--$command and $1 cannot be given together"
            command=${1#--}
            case ${2:-} in
            '' | --[a-z]*) ;;
            *)
                topic=("$2")
                shift
                ;;
            esac
            ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) wrong "unknown option $1" ;;
        esac
        shift
    done

    # Of the caller's folder: the scripts go to another one.
    case ${LOCAL_DIR:=$root/.local} in /*) ;; *) LOCAL_DIR=$PWD/$LOCAL_DIR ;; esac
    export LOCAL_DIR
    if [ $mode = auto ]; then
        mode=docker
        case $command in
        # The launcher of a local stack writes this file, and removes it when it has stopped.
        status | stop | topic | ksql | replay-dlq) if [ -e "$LOCAL_DIR/run/state.json" ]; then mode=local; fi ;;
        esac
    fi
    case $command/$mode in
    up/local) known=--detach ;;
    up/docker) known="--build --simulators" ;;
    status/*) known=--json ;;
    topic/*) known=--from-beginning ;;
    replay-dlq/*) known=--dry-run ;;
    *) known= ;;
    esac
    for option in ${options[@]+"${options[@]}"}; do
        case " $known " in
        *" $option "*) ;;
        *) wrong "$option does not go with the rest of what was given" ;;
        esac
    done
    case $mode in
    local) script=$root/local/bootstrap.sh ;;
    *) script=$root/init/compose.sh ;;
    esac
    exec bash "$script" "$command" ${topic[@]+"${topic[@]}"} ${options[@]+"${options[@]}"}
fi
