#!/usr/bin/env bash
# The Docker Compose mode behind start.sh: compose.sh up [--build] [--simulators] [--cluster] | status [--json] [--cluster]
# | stop [--cluster] | clean [--cluster]
# | topic NAME [OPTION ...] | trace ID [--json] | ksql [STATEMENT] | replay-dlq NAME [OPTION ...] | clean-ksqldb
# | running (exit code 0 when it does)
set -euo pipefail
CDPATH='' cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

# Those that the user asks for. Compose itself has to see all that .env has, and the environment would hide them.
own_profiles=${COMPOSE_PROFILES:-}
own_profiles=${own_profiles// /}
unset COMPOSE_PROFILES
# shellcheck source=init/settings.sh
. init/settings.sh

# A proxy knows nothing of this machine's own ports.
export no_proxy="${no_proxy:-${NO_PROXY:-}},localhost,127.0.0.1"

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

say() { printf '%s\n' "$*"; }

# compose ARG ...: Docker Compose, whichever of its two names this machine has.
compose() {
    if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}

check_docker() {
    command -v docker >/dev/null ||
        fail "Docker is not installed: see https://docs.docker.com/get-docker, or use ./start.sh --local, which needs none"
    docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null ||
        fail "Docker has no Compose: install the package docker-compose-plugin, or use ./start.sh --local, which needs neither"
    docker info >/dev/null 2>&1 ||
        fail "the Docker engine does not answer: start it, or get permission to use it (group docker), or use ./start.sh --local, which needs none"
}

# check_compose [--cluster]: an older Compose refuses the files for a key that it does not know.
check_compose() {
    local found needed=2.21.0 # for a template in `ps --format`
    [ -z "$1" ] || needed=2.24.4 # for !override and !reset
    found=$(compose version --short 2>/dev/null) || found=
    found=${found#v}
    [ "$(printf '%s\n' "$needed" "${found:-$needed}" | sort -V | head -n 1)" = "$needed" ] ||
        fail "Docker Compose is $found, and $needed or later is needed: update it, or use ./start.sh --local, which needs none"
}

# A start takes the project's name from the environment, else from .env, else from the compose file; write_env remembers it.
choose_project() {
    local name=${COMPOSE_PROJECT_NAME:-$(remembered COMPOSE_PROJECT_NAME)}
    export COMPOSE_PROJECT_NAME=${name:-$(sed -n 's/^name: *//p' docker-compose.yml)}
}

# The project of the stack that runs is the one that it was started with, whatever the environment has by now.
follow_project() {
    local started
    started=$(in_file COMPOSE_PROJECT_NAME)
    [ -n "$started" ] || return 0
    [ "${COMPOSE_PROJECT_NAME:-$started}" = "$started" ] ||
        printf 'note: the stack was started as the project %s, which is used: COMPOSE_PROJECT_NAME=%s in the environment counts from the next start\n' "$started" "$COMPOSE_PROJECT_NAME" >&2
    export COMPOSE_PROJECT_NAME=$started
}

# The containers of the project may be another clone's: nothing is done to those.
check_ours() {
    local container folder seen
    container=$(compose ps --all --quiet 2>/dev/null) || container=
    [ -n "$container" ] || return 0
    folder=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.project.working_dir"}}' "${container%%$'\n'*}")
    [ ! "$folder" -ef . ] || return 0
    # A clone that was moved here is no longer there; one below another user's home cannot be seen.
    seen=$folder
    case $seen in /*) ;; *) return 0 ;; esac # of another system, as Windows' own Docker has them
    until [ -e "$seen" ] || [ -z "$seen" ]; do seen=${seen%/*}; done
    [ "$seen" != "$folder" ] && [ -x "${seen:-/}" ] ||
        fail "the stack of this project's name belongs to the clone in $folder: call start.sh there, or start another stack here by COMPOSE_PROJECT_NAME=other ./start.sh"
}

random_secret() { LC_ALL=C tr -dc 'a-f0-9' </dev/urandom | head -c 40; }

# Writes what this start decides into .env, where each later `docker compose` command finds it too: the secrets of the local
# stores (made once), which profiles and files are used, and where Connect writes to.
write_env() {
    local simulators=$1 cluster=$2 mongodb_password s3_password grafana_password profiles=() uri='' aws='' interval
    mongodb_password=$(remembered MONGODB_PASSWORD)
    s3_password=$(remembered S3_PASSWORD)
    grafana_password=$(remembered GRAFANA_PASSWORD)
    if whole_group "${ATLAS[@]}"; then
        uri=$(mongodb_uri)
    else
        profiles+=(mongodb)
    fi
    if whole_group "${AWS[@]}"; then
        aws=yes
    else
        profiles+=(s3)
    fi
    say_what_is_local_now "$uri" "$aws"
    local kept name files=docker-compose.yml${cluster:+:docker-compose.cluster.yml}${simulators:+:simulators/docker-compose.yml}
    [ ! -e docker-compose.override.yml ] || files+=:docker-compose.override.yml
    kept=$(if [ -f .env ]; then own_lines; else cat .env.example; fi)
    interval=${ARCHIVE_INTERVAL_SECONDS:-$(value_of ARCHIVE_INTERVAL_SECONDS <<<"$kept")}
    own_profiles=${own_profiles:-$(value_of COMPOSE_PROFILES <<<"$kept" | tr -d ' ')}
    [ -z "$own_profiles" ] || profiles+=("$own_profiles")
    (umask 077 && : >.env.new) 2>/dev/null ||
        fail "nothing can be written in $PWD, where .env has to be: use ./start.sh --local with LOCAL_DIR in another folder, which writes nothing there"
    (
        umask 077
        {
            printf '%s\n' "$kept"
            printf '# --- written by start.sh at each start, do not edit\n'
            printf "MONGODB_PASSWORD='%s'\n" "${mongodb_password:-$(random_secret)}"
            printf "S3_PASSWORD='%s'\n" "${s3_password:-$(random_secret)}"
            printf "GRAFANA_PASSWORD='%s'\n" "${grafana_password:-$(random_secret)}"
            printf 'COMPOSE_PROJECT_NAME=%s\n' "$COMPOSE_PROJECT_NAME"
            printf 'COMPOSE_FILE=%s\n' "$files"
            printf 'COMPOSE_PROFILES=%s\n' "$(IFS=,; printf '%s' "${profiles[*]:-}")"
            case ,$own_profiles, in
            *,tracing,*) [ -n "$(value_of OTEL_EXPORTER_OTLP_ENDPOINT <<<"$kept")" ] || printf 'OTEL_EXPORTER_OTLP_ENDPOINT=http://jaeger:4318\n' ;;
            esac
            # A client that starts while one broker is down asks another. Brokers elsewhere, in the user's own lines, stay what they are.
            [ -z "$cluster" ] || [ -n "$(value_of KAFKA_BOOTSTRAP_SERVER <<<"$kept")" ] ||
                printf 'KAFKA_BOOTSTRAP_SERVER=kafka:29092,kafka-2:29092,kafka-3:29092\n'
            [ -z "$uri" ] || printf "MONGODB_URI='%s'\n" "$uri"
            # Those of the environment too: a `docker compose up` in another shell would send them to AWS without.
            for name in ${aws:+"${AWS[@]}"}; do
                [ -z "${!name:-}" ] || printf "%s='%s'\n" "$name" "${!name}"
            done
            # Another service that speaks S3, in the user's own lines, stays what it is.
            [ -z "$aws" ] || [ -n "$(value_of S3_ENDPOINT <<<"$kept")" ] || printf 'S3_ENDPOINT=\n'
            # Each object costs something in AWS. Until it is written its rows are in the worker's heap: docs/operations.md.
            [ -z "$aws" ] || printf 'ARCHIVE_INTERVAL_SECONDS=%s\n' "${interval:-30}"
            printf '# --- end of what start.sh writes\n'
        } >.env.new
        sync # a power cut must not leave an empty .env: the secrets in it are those that the volumes were made with
        mv .env.new .env
    )
}

# say_what_is_local_now URI AWS: what the last start had in the cloud, and this one has not.
say_what_is_local_now() {
    [ -n "$1" ] || [ -z "$(in_file MONGODB_URI)" ] || [ -n "$(own_lines | value_of MONGODB_URI)" ] ||
        printf 'note: the last start wrote to MongoDB Atlas, this one writes to a local MongoDB: MY_MONGODB_* are neither in .env nor in the environment\n' >&2
    [ -n "$2" ] || [ -z "$(in_file MY_AWS_REGION)" ] ||
        printf 'note: the last start wrote to S3 in AWS, this one writes to a local server: MY_AWS_* are neither in .env nor in the environment\n' >&2
}

# No time to start with less space than runtime/disk.py asks for, on the disk of images and volumes. Where that cannot be seen
# from here (Docker Desktop), the console says it once it runs.
check_disk() {
    local folder free files needed
    case ${DOCKER_HOST:-} in '' | unix://*) ;; *) return 0 ;; esac
    folder=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null) || folder=
    [ -d "$folder" ] || return 0
    free=$(df -Pk "$folder" 2>/dev/null | awk 'NR == 2 {print int($4 / 1024)}') || free=
    needed=$(sed -n 's/^LOW_BYTES = \([0-9]*\) \* MIB$/\1/p' runtime/disk.py)
    [ "${free:-$needed}" -ge "$needed" ] ||
        fail "the disk of $folder is almost full: $free MiB left, at least $needed MiB are needed; docker system prune removes what no container uses"
    files=$(df -Pi "$folder" 2>/dev/null | awk 'NR == 2 && $2 > 0 {print $4}') || files= # some do not count them
    needed=$(sed -n 's/^LOW_FILES = \([0-9_]*\)$/\1/p' runtime/disk.py | tr -d _)
    [ "${files:-$needed}" -ge "$needed" ] ||
        fail "the disk of $folder is almost full: it can take $files more files, at least $needed are needed; those of the local S3 are in the volume ${COMPOSE_PROJECT_NAME}_s3-data"
}

# MongoDB takes its password when its data is made, and keeps that one.
check_password() {
    local made
    made=$(in_file MONGODB_PASSWORD)
    if whole_group "${ATLAS[@]}" >/dev/null; then return; fi
    [ -z "$made" ] || [ "$made" != "$(remembered MONGODB_PASSWORD)" ] || return 0
    docker volume ls --quiet | grep -qx "${COMPOSE_PROJECT_NAME}_mongodb-data" || return 0
    [ -n "$(in_file COMPOSE_PROJECT_NAME)" ] ||
        fail "there is data of a stack of this name that was not started here, perhaps another clone's: COMPOSE_PROJECT_NAME=other ./start.sh starts another one; if the data is yours, put its MONGODB_PASSWORD into .env, or remove it with ./start.sh --clean"
    fail "the data of MongoDB was made with a password that .env no longer has: put its MONGODB_PASSWORD back, or remove the data with ./start.sh --clean"
}

# The names of containers are the engine's, whatever the project: another stack may have one of them.
check_names() {
    local name project remove
    while read -r name; do
        project=$(docker inspect --type container --format '{{index .Config.Labels "com.docker.compose.project"}}' "$name" 2>/dev/null) || continue
        [ "$project" != "$COMPOSE_PROJECT_NAME" ] || continue
        remove="rm --force $name"
        [ -z "$project" ] || remove="compose --project-name $project down"
        fail "the container $name is there already, made by ${project:+the project }${project:-hand}: remove it first (docker $remove)"
    done < <(compose config --no-interpolate | sed -n 's/^ *container_name: *//p')
}

# The data of one broker has no copies on two others, and that of three needs them. The project's volumes show which it is.
check_data() {
    local wanted=$1 made volumes
    volumes=$(docker volume ls --quiet)
    grep -qx "${COMPOSE_PROJECT_NAME}_kafka-data" <<<"$volumes" || return 0
    made=$(if grep -qx "${COMPOSE_PROJECT_NAME}_kafka-2-data" <<<"$volumes"; then echo --cluster; fi)
    [ "$made" = "$wanted" ] ||
        fail "the data of this stack was made ${made:+with }${made:-without --cluster} and cannot be used ${wanted:+with }${wanted:-without it}: start the stack as before, or remove its data with ./start.sh --clean"
}

# Every port that a container will publish must be free, unless the stack itself has it.
check_ports() {
    local variable default port taken=() own ports
    own=$(docker ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Ports}}')
    while read -r variable default; do
        port=$(setting "$variable")
        port=${port:-$default}
        case $own in *":$port->"*) continue ;; esac
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then taken+=("$port ($variable)"); fi
    done < <(compose config --no-interpolate | sed -nE 's/.*127\.0\.0\.1:\$\{([A-Z0-9_]+):-([0-9]+)\}.*/\1 \2/p' | sort -u)
    [ ${#taken[@]} -gt 0 ] || return 0
    ports=$(IFS=,; printf '%s' "${taken[*]}")
    ! bash local/is_running.sh ||
        fail "port $ports is taken, perhaps by the local stack of this clone, which is running: stop it first, by ./start.sh --local --stop"
    fail "port $ports is taken by another program: stop that program, or give the variable another value in .env"
}

# What is mounted, or copied into an image, is read by the containers' own users: a clone made with umask 077 would be closed to them.
check_modes() {
    local closed='' read=(kafka ksqldb monitoring console contracts init runtime simulators transactions-ingestor
        unidentified-transactions-processor local/log4j2.yaml)
    read -r closed < <(find "${read[@]}" -name __pycache__ -prune -o \( -type d ! -perm -005 -o -type f ! -perm -004 \) -print) || true
    [ -z "$closed" ] || fail "$closed cannot be read by the containers' users: chmod -R o+rX ${read[*]}"
}

# Images that are not built here must be there before anything starts.
check_images() {
    local image
    while read -r image; do
        case $image in fraud-detection/*) continue ;; esac
        docker image inspect "$image" >/dev/null 2>&1 && continue
        say "pulling $image"
        docker pull "$image" && continue
        case $image in
        sgg10/*) fail "the image $image is not available: ./start.sh --simulators uses this repository's own bank and validator" ;;
        *) fail "the image $image is not available: check the network, or use ./start.sh --local, which needs no image" ;;
        esac
    done < <(compose config --images | sort -u)
}

addresses() {
    local console kafka connect ksqldb validator mongodb s3 prometheus grafana jaeger monitoring=''
    console=$(setting CONSOLE_PORT)
    kafka=$(setting KAFKA_PORT) connect=$(setting CONNECT_PORT) ksqldb=$(setting KSQLDB_PORT)
    validator=$(setting VALIDATOR_PORT) mongodb=$(setting MONGODB_PORT) s3=$(setting S3_PORT)
    prometheus=$(setting PROMETHEUS_PORT) grafana=$(setting GRAFANA_PORT) jaeger=$(setting JAEGER_PORT)
    case ,$(setting COMPOSE_PROFILES), in
    *,monitoring,*) monitoring="
  Prometheus     http://localhost:${prometheus:-9090}    its alerts at http://localhost:${prometheus:-9090}/alerts
  Grafana        http://localhost:${grafana:-3000}    anyone may look; user admin, GRAFANA_PASSWORD in .env" ;;
    esac
    case ,$(setting COMPOSE_PROFILES), in
    *,tracing,*) monitoring+="
  Jaeger         http://localhost:${jaeger:-16686}    search by a service, such as transactions-ingestor" ;;
    esac
    cat <<ADDRESSES

  console        http://localhost:${console:-8080}    open it in a browser, or ./start.sh --status
  Kafka          localhost:${kafka:-9092}           ./start.sh --topic fraudulent-transactions-result --from-beginning
  Kafka Connect  http://localhost:${connect:-8083}    curl -s http://localhost:${connect:-8083}/connectors/mongodb-transactions/status
  ksqlDB         http://localhost:${ksqldb:-8088}    ./start.sh --ksql
  validator      http://localhost:${validator:-8000}    its API at http://localhost:${validator:-8000}/docs
  MongoDB        $(case ,$(setting COMPOSE_PROFILES), in *,mongodb,*) printf 'localhost:%s (user local, MONGODB_PASSWORD in .env)' "${mongodb:-27017}" ;; *) printf 'MongoDB Atlas (MY_MONGODB_CLUSTER)' ;; esac)
  S3             $(case ,$(setting COMPOSE_PROFILES), in *,s3,*) printf 'http://localhost:%s (key local, S3_PASSWORD in .env)' "${s3:-9000}" ;; *) printf 'AWS' ;; esac)$monitoring

  logs           docker compose logs transactions-ingestor -f
  status, stop   ./start.sh --status, ./start.sh --stop
ADDRESSES
}

up() {
    local build='' simulators='' cluster=''
    for option in "$@"; do
        case $option in
        --build) build=--build ;;
        --simulators) simulators=yes ;;
        --cluster) cluster=--cluster ;;
        esac
    done
    check_docker
    check_settings ${cluster:+cluster}
    check_compose "$cluster"
    choose_project
    check_ours
    check_disk
    check_data "$cluster"
    check_password
    write_env "$simulators" "$cluster"
    check_names
    check_ports
    check_modes
    check_images
    stop_unused
    # Each started by what it depends on being healthy; --wait ends when all are, or when one of them failed.
    compose up --detach --wait --wait-timeout "${START_TIMEOUT:-600}" ${build:+"$build"} || {
        compose ps --all
        fail "not everything came up: see the table above, and docker compose logs SERVICE"
    }
    # Compose makes no new container when a mounted file changes, and Prometheus reads its rules again only when it is told to.
    ! runs prometheus || compose kill --signal HUP prometheus ||
        printf 'note: Prometheus did not read its rules again: docker compose restart prometheus\n' >&2
    addresses
}

# Removes the containers of services that only an earlier start used: those of a profile, or a store that is in the cloud now.
stop_unused() {
    local all wanted unused
    all=$(compose --profile '*' config --services)
    wanted=$(compose config --services)
    unused=$(compose --profile '*' ps --all --services | grep -Fx "$all" | grep -Fvx "$wanted") || return 0
    # shellcheck disable=SC2086 # one word a service
    compose --profile '*' rm --stop --force $unused
}

# The containers and what the console sees, the latter alone with --json.
status() {
    local unhealthy code=0
    need_stack
    [ $# -gt 0 ] || compose ps --all
    unhealthy=$(compose ps --all --format '{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}' |
        awk '$2 == "running" && ($3 == "healthy" || $3 == 0) {next}
             $1 ~ /^(init|wait-for)-/ && $2 == "exited" && $NF == 0 {next} # these run once
             {print $1}')
    in_service console python -m console.status "$@" || code=$?
    [ -z "$unhealthy" ] || fail "unhealthy: ${unhealthy//$'\n'/ }"
    return "$code"
}

need_stack() { [ -n "$(compose ps --quiet)" ] || fail "the stack is not running: source start.sh --build starts it"; }

# runs SERVICE: whether its container does.
runs() { [ -n "$(compose ps --quiet --status running "$1" 2>/dev/null)" ]; }

# Kafka here, or a cluster elsewhere, which the user's own lines name.
need_kafka() {
    runs kafka || [ -n "$(own_lines | value_of KAFKA_BOOTSTRAP_SERVER)" ] ||
        fail "the stack is not running: source start.sh --build starts it in Docker, ./start.sh --local without"
}

# in_service SERVICE COMMAND ...: runs it in the service's container, on the terminal if there is one, so that Ctrl-C ends it too.
in_service() {
    local terminal=(-T)
    if [ -t 0 ] && [ -t 1 ]; then terminal=(); fi
    compose exec ${terminal[@]+"${terminal[@]}"} "$@"
}

if [ "$1" = up ]; then
    up "${@:2}"
    exit
fi
follow_project
# The files that a start left in .env, without one that is gone since, as docker-compose.override.yml may be: Compose would refuse
# all of them. Those of --cluster are named again where .env is lost.
arguments=() files=
for file in $(in_file COMPOSE_FILE | tr : ' '); do
    if [ -e "$file" ]; then files+=:$file; else printf 'note: %s, which the last start read, is gone\n' "$file" >&2; fi
done
for argument in "$@"; do
    case $argument in
    --cluster)
        files=${files:-:docker-compose.yml}
        case $files in *docker-compose.cluster.yml*) ;; *) files+=:docker-compose.cluster.yml ;; esac
        ;;
    *) arguments+=("$argument") ;;
    esac
done
files=${files#:}
[ "$files" = "$(in_file COMPOSE_FILE)" ] || export COMPOSE_FILE=$files
set -- "${arguments[@]}"
if [ "$1" = running ]; then # asked before anything is known: no Docker is an answer as well
    [ -n "$(compose ps --quiet 2>/dev/null)" ] && check_ours
    exit
fi
check_docker
check_ours
case $1 in
status) status "${@:2}" ;;
stop) compose --profile '*' down --remove-orphans ;; # also what an earlier start had and .env has no more
clean) compose --profile '*' down --remove-orphans --volumes ;;
topic)
    need_kafka
    runs console || fail "the console, which prints topics, is not running: docker compose up -d --no-deps console"
    in_service console python -m console.topic "${@:2}"
    ;;
ksql)
    need_stack
    in_service console python -m console.ksql "${@:2}"
    ;;
trace)
    need_stack
    in_service console python -m console.trace "${@:2}"
    ;;
replay-dlq)
    need_kafka
    compose run --rm --no-deps init-kafka python -m init.replay_dlq "${@:2}"
    ;;
clean-ksqldb) compose run --rm --no-deps init-ksqldb bash init/clean_ksqldb.sh ;;
esac
