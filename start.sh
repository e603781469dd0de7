#!/usr/bin/env bash
# Starts and stops the stack: `./start.sh --help`. Sourcing it is the same as running it: the caller's shell is untouched.
if [ -z "${BASH_VERSION:-}${ZSH_VERSION:-}" ]; then # as in `sh start.sh`: everything below needs bash
    echo 'error: start.sh needs bash: call it as ./start.sh or bash start.sh' >&2
    # shellcheck disable=SC2317 # return keeps a shell that sources this file alive, exit is for all others
    return 2 2>/dev/null || exit 2
fi
if [ "${BASH_SOURCE[0]:-}" != "$0" ]; then
    bash "${BASH_SOURCE[0]:-$0}" "$@"
else
    set -euo pipefail
    unset CDPATH # with it, cd prints and may go to another folder
    # The folder of this file, even when it is called through a symbolic link.
    script=$0
    while [ -h "$script" ]; do
        link=$(readlink "$script")
        case $link in /*) script=$link ;; *) script=$(dirname "$script")/$link ;; esac
    done
    root=$(cd "$(dirname "$script")" && pwd -P)

    usage() {
        cat <<'USAGE'
usage: source start.sh [--build] [--simulators] [--cluster]
                                                      start the stack in Docker Compose and wait until it is healthy
       ./start.sh --local [--detach]                  start the stack as plain processes, without Docker
       ./start.sh [--local] --status [--json]         show the state of the stack; exit code 0 unless there is a fault
       ./start.sh [--local] --stop                    stop it and keep its data
       ./start.sh [--local] --clean                   stop it and remove its data
       ./start.sh --topic NAME [--from-beginning] [--timestamps] [--key] [--headers] [--unmasked]
                                                      print a topic's records as they arrive, personal data masked
       ./start.sh --trace ID [--json]                 show what became of one transaction
       ./start.sh --ksql [STATEMENT]                  open a ksqlDB prompt, or run one statement
       ./start.sh --replay-dlq NAME [--dry-run] [--reason KIND] [--limit N]
                                                      replay dead letters to the topics that they came from

  --build        rebuild the images of this repository
  --simulators   use this repository's bank and validator instead of the third-party images
  --cluster      three brokers, and two of each service that can share its work; --status, --stop and --clean need it only
                 where .env is lost
  --json         print JSON
  --local        use the local stack; without it --clean uses Docker, and --status, --stop, --topic, --trace, --ksql and
                 --replay-dlq the local stack if it is running, or was started here and Docker's is not; else Docker
USAGE
    }

    wrong() {
        printf 'error: %s\n' "$1" >&2
        usage >&2
        exit 2
    }

    # Whether the local stack is meant: it is running, or it was started here before and Docker's is not running.
    local_is_meant() {
        if bash "$root/local/is_running.sh"; then return; fi
        [ -f "$LOCAL_DIR/run/lock" ] && ! bash "$root/init/compose.sh" running 2>/dev/null
    }

    mode=auto
    command=up
    topic=()
    options=()
    while [ $# -gt 0 ]; do
        case $1 in
        --local) mode=local ;;
        --cluster)
            [ $mode = local ] || mode=docker
            options+=("$1")
            ;;
        --build | --simulators | --detach | --json | --dry-run) options+=("$1") ;;
        --from-beginning | --timestamps | --key | --headers | --unmasked) options+=("$1") ;;
        --reason | --limit)
            [ $# -ge 2 ] || wrong "$1 needs $([ "$1" = --limit ] && echo 'a number' || echo 'a kind of reason, as --dry-run prints it')"
            options+=("$1=$2")
            shift
            ;;
        --status | --stop | --clean)
            [ "$command" = up ] || wrong "--$command and $1 cannot be given together"
            command=${1#--}
            ;;
        --topic | --replay-dlq | --trace)
            [ $# -ge 2 ] || wrong "$1 needs $([ "$1" = --trace ] && echo 'the id of a transaction' || echo 'the name of a topic')"
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

    # Relative to the caller's folder: the scripts change to another one.
    case ${LOCAL_DIR:=$root/.local} in /*) ;; *) LOCAL_DIR=$PWD/$LOCAL_DIR ;; esac
    export LOCAL_DIR
    if [ $mode = auto ]; then
        mode=docker
        case $command in
        status | stop | topic | trace | ksql | replay-dlq) if local_is_meant; then mode=local; fi ;;
        esac
    fi
    case $command/$mode in
    up/local) known=--detach ;;
    up/docker) known="--build --simulators --cluster" ;;
    status/docker) known="--json --cluster" ;;
    stop/docker | clean/docker) known=--cluster ;;
    status/* | trace/*) known=--json ;;
    topic/*) known="--from-beginning --timestamps --key --headers --unmasked" ;;
    replay-dlq/*) known="--dry-run --reason --limit" ;;
    *) known= ;;
    esac
    for option in ${options[@]+"${options[@]}"}; do
        case " $known " in
        *" ${option%%=*} "*) ;;
        *)
            hint=
            [ "$option/$command/$mode" != --cluster/up/local ] || hint=': KAFKA_BROKERS=3 ./start.sh --local starts three brokers'
            wrong "${option%%=*} does not apply to this command$hint"
            ;;
        esac
    done
    case $mode in
    local) script=$root/local/bootstrap.sh ;;
    *) script=$root/init/compose.sh ;;
    esac
    exec bash "$script" "$command" ${topic[@]+"${topic[@]}"} ${options[@]+"${options[@]}"}
fi
