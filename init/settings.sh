#!/usr/bin/env bash
# The settings of the Docker mode, for compose.sh: where they come from, and a check of all of them before anything starts.
# Python is not needed on the host, so the rules of the services' own classes are here again as a table;
# tests/unit/test_settings_sh.py holds the one against the others.

# NAME KIND [LOWEST [HIGHEST]], with > before a lowest value that is itself too low. A port has its default, and the
# profile without which nothing listens there; `cluster` stands for --cluster.
SETTINGS='
KAFKA_PORT port 9092
KAFKA_2_PORT port 9094 cluster
KAFKA_3_PORT port 9096 cluster
CONNECT_PORT port 8083
CONNECT_2_PORT port 8084 cluster
KSQLDB_PORT port 8088
VALIDATOR_PORT port 8000
MONGODB_PORT port 27017 mongodb
S3_PORT port 9000 s3
CONSOLE_PORT port 8080
PROMETHEUS_PORT port 9090 monitoring
GRAFANA_PORT port 3000 monitoring
JAEGER_PORT port 16686 tracing
TOPIC_PARTITIONS integer 1 900
TOPIC_REPLICATION_FACTOR integer 1 100
BANK_RATE number 0 1000000
BANK_COUNT integer 0
BANK_SEED integer
BANK_CUSTOMERS integer 2 100000
BANK_FRAUDULENT_SHARE number 0 1
BANK_POISON_SHARE number 0 1
VALIDATOR_FRAUDULENT_SHARE number 0 1
VALIDATOR_LATENCY_MS number 0
VALIDATOR_FAILURE_SHARE number 0 1
VALIDATOR_POISON_SHARE number 0 1
FRAUD_VALIDATOR_MAX_IN_FLIGHT integer 1 10000
FRAUD_VALIDATOR_TIMEOUT number >0 9
S3_BUCKET bucket
MONGODB_PASSWORD plain
S3_PASSWORD plain
GRAFANA_PASSWORD plain
ARCHIVE_INTERVAL_SECONDS integer 1 3600
MY_AWS_ACCESS_KEY_ID word
MY_AWS_SECRET_ACCESS_KEY word
MY_AWS_REGION region
KSQLDB_URL url
KCONNECT_URL url
FRAUD_VALIDATOR_URL url
OTEL_EXPORTER_OTLP_ENDPOINT url
OTEL_TRACES_SAMPLER sampler
OTEL_TRACES_SAMPLER_ARG number 0 1
'

# Where the stack connects to, and the secrets of its stores. In a user's shell these are another program's.
FROM_FILE_ONLY='
KAFKA_BOOTSTRAP_SERVER KAFKA_SECURITY_PROTOCOL KAFKA_SASL_MECHANISM KAFKA_SASL_USERNAME KAFKA_SASL_PASSWORD
KAFKA_SSL_CA_LOCATION KAFKA_SASL_JAAS_CONFIG KSQLDB_URL KCONNECT_URL FRAUD_VALIDATOR_URL MONGODB_URI MONGODB_PASSWORD S3_ENDPOINT S3_PASSWORD
GRAFANA_PASSWORD OTEL_EXPORTER_OTLP_ENDPOINT COMPOSE_FILE COMPOSE_ENV_FILES COMPOSE_PATH_SEPARATOR COMPOSE_DISABLE_ENV_FILE
'

# The values of .env alone, for everything that is listed above; `notes` then says what was set aside.
notes=()
for name in $FROM_FILE_ONLY; do
    [ -z "${!name:-}" ] || notes+=("$name in the environment is ignored: set it in .env")
    unset "$name"
done

# env_file: .env as Linux would have written it, without the carriage returns and the byte order mark of Windows' editors.
env_file() { [ ! -f .env ] || tr -d '\r' <.env | sed $'1s/^\xef\xbb\xbf//'; }

# own_lines: what the user has in .env, without what start.sh writes there. The last line of that is missing in older files.
own_lines() { env_file | sed '/^# --- written by start.sh/,/^# --- end of what start.sh writes/d'; }

# in_file NAME: its value in .env.
in_file() { env_file | value_of "$1"; }

# value_of NAME: its value in the lines on stdin, read as Compose and python-dotenv read them, but with each $ as it stands.
value_of() {
    sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=[[:space:]]*//p" | tail -n 1 |
        sed -E -e "/^'/{s/^'(([^'\\\\]|\\\\.)*)'.*/\1/;s/\\\\(['\\\\])/\1/g;q;}" \
            -e '/^"/{s/^"(([^"\\]|\\.)*)".*/\1/;s/\\(["\\])/\1/g;q;}' \
            -e 's/[[:space:]]+#.*//;s/[[:space:]]+$//'
}

# setting NAME: its value from the environment, else from .env, else nothing.
setting() { if [ -n "${!1+set}" ]; then printf '%s' "${!1}"; else in_file "$1"; fi; }

# remembered NAME: what the user has in .env, else what an earlier start has left there.
remembered() {
    local own
    own=$(own_lines | value_of "$1")
    printf '%s' "${own:-$(in_file "$1")}"
}

# What the cloud needs in place of each local store.
ATLAS=(MY_MONGODB_USER MY_MONGODB_PASS MY_MONGODB_CLUSTER)
AWS=(MY_AWS_ACCESS_KEY_ID MY_AWS_SECRET_ACCESS_KEY MY_AWS_REGION)

# whole_group NAME ...: true when all are set, false when none is; prints the problem when only a part is.
whole_group() {
    local name missing=() there=()
    for name in "$@"; do
        if [ -n "$(given "$name")" ]; then there+=("$name"); else missing+=("$name"); fi
    done
    [ ${#there[@]} -gt 0 ] || return 1
    [ ${#missing[@]} -eq 0 ] ||
        printf '%s not set, while %s is: set all of them to use the cloud, or none to use the local store' \
            "$(listed "${missing[@]}")" "$(listed "${there[@]}")"
}

# given NAME: as the user set it, not as a start has left it in .env.
given() { if [ -n "${!1+set}" ]; then printf '%s' "${!1}"; else own_lines | value_of "$1"; fi; }

listed() { local IFS=,; printf '%s' "$*" | sed 's/,/, /g'; }

mongodb_uri() {
    MY_MONGODB_USER=$(setting MY_MONGODB_USER) MY_MONGODB_PASS=$(setting MY_MONGODB_PASS) \
        MY_MONGODB_CLUSTER=$(setting MY_MONGODB_CLUSTER) bash init/mongodb_uri.sh
}

# must_be VALUE KIND [LOWEST [HIGHEST]]: prints what the value must be, if it is not.
must_be() {
    local LC_ALL=C value=$1 kind=$2 low=${3:-} high=${4:-}
    case $kind in
    port | integer | number)
        local text='a whole number' form='^[+-]?[0-9]{1,15}$'
        case $kind in
        port) low=1 high=65535 ;;
        number) text='a number' form='^[+-]?([0-9]{1,15}\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?$' ;;
        esac
        if [[ $value =~ $form ]] && awk -v value="$value" -v low="$low" -v high="$high" 'BEGIN {
            above = sub(/^>/, "", low)
            exit !((low == "" || value + 0 > low + 0 || value + 0 == low + 0 && !above) && (high == "" || value + 0 <= high + 0))
        }'; then return; fi
        case $low in '') ;; '>'*) text+=" above ${low#>}" ;; *) text+=" of at least $low" ;; esac
        printf '%s' "$text${high:+ and at most $high}"
        ;;
    bucket)
        local form='^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$' address='^([0-9]+\.){3}[0-9]+$'
        if [[ $value =~ $form && ! $value =~ $address ]]; then
            case $value in *..* | xn--* | sthree-* | *-s3alias | *--ol-s3) ;; *) return ;; esac
        fi
        printf '%s' "a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens, with a letter or digit at each end"
        ;;
    plain) [[ $value =~ ^[A-Za-z0-9._~-]+$ ]] || printf 'of a-z, A-Z, 0-9 and ._~-' ;;
    word) [[ $value =~ ^[[:graph:]]+$ ]] || printf 'without spaces' ;;
    region) [[ $value =~ ^[a-z]+(-[a-z0-9]+)+$ ]] || printf "a region's name, such as eu-west-1" ;;
    sampler)
        case $value in parentbased_always_on | parentbased_always_off | parentbased_traceidratio) ;; *)
            printf 'parentbased_traceidratio, parentbased_always_on or parentbased_always_off'
            ;;
        esac
        ;;
    url) [[ $value =~ ^https?://[[:graph:]]+$ ]] || printf 'an address, such as http://host:8088' ;;
    size) [[ $value =~ ^[0-9]+(\.[0-9]+)?([bB]|[kKmMgG]([iI]?[bB])?)?$ ]] || printf 'a size, such as 512m or 1g' ;;
    esac
}

# dollars_of NAME ...: prints which of these have a $ that Compose would replace, in the lines on stdin. \$ and $$ are a $, and
# ${NAME} is meant.
dollars_of() {
    local names
    names=$(printf '%s|' "$@")
    # shellcheck disable=SC2016 # a $ as such
    sed -E -e 's/\\[$]|[$][$]|[$]\{[^}]*\}//g' -e 's/[[:space:]]#.*//' |
        sed -nE "s/^[[:space:]]*(export[[:space:]]+)?(${names%|})[[:space:]]*=[[:space:]]*([^'[:space:]].*)?[\$].*/\\2 has a \$, which Compose replaces with what follows it: put the value in single quotes/p"
}

# problems_of_settings [PROFILE ...]: prints everything that is wrong, a line each. The profiles are those that the user adds,
# and `cluster` for a start with --cluster.
problems_of_settings() {
    local name kind low high value must problem profiles=" $* " ports='' brokers=1
    case $profiles in *' cluster '*) brokers=3 ;; esac
    problem=$(whole_group "${ATLAS[@]}") || profiles+='mongodb '
    if [ -n "$problem" ]; then
        printf '%s\n' "$problem"
    elif [[ $profiles != *' mongodb '* ]]; then
        { mongodb_uri >/dev/null || true; } 2>&1
    fi
    problem=$(whole_group "${AWS[@]}") || profiles+='s3 '
    [ -z "$problem" ] || printf '%s\n' "$problem"
    own_lines | dollars_of KAFKA_SASL_PASSWORD KAFKA_SASL_JAAS_CONFIG MONGODB_URI
    [ -z "$(own_lines | value_of OTEL_EXPORTER_OTLP_ENDPOINT)" ] || [[ $profiles == *' tracing '* ]] ||
        printf 'OTEL_EXPORTER_OTLP_ENDPOINT needs the profile tracing: add it to COMPOSE_PROFILES\n'
    while read -r name kind low high; do
        case $name in OTEL_TRACES_*) [[ $profiles == *' tracing '* ]] || continue ;; esac
        value=$(setting "$name")
        must=
        [ -z "$value" ] || must=$(must_be "$value" "$kind" "$low" "$high")
        if [ -n "$must" ]; then
            case $name in *SECRET* | *PASSWORD*) printf '%s' "$name" ;; *) printf "%s='%s'" "$name" "$value" ;; esac
            printf ' must be %s\n' "$must"
        elif [ "$kind" = port ] && [[ -z $high || $profiles == *" $high "* ]]; then
            ports+="${value:-$low} $name"$'\n'
        elif [ "$name" = TOPIC_REPLICATION_FACTOR ] && [ "${value:-1}" -gt $brokers ] && [ -z "$(own_lines | value_of KAFKA_BOOTSTRAP_SERVER)" ]; then
            case $brokers in
            1) must='1: the stack has one broker' ;;
            *) must="at most $brokers: the stack has $brokers brokers" ;;
            esac
            printf '%s\n' "$name='$value' must be $must (unless KAFKA_BOOTSTRAP_SERVER names another cluster)"
        fi
    done < <(
        sed '/^$/d' <<<"$SETTINGS"
        sed -nE 's/^#?([A-Z0-9_]+_MEMORY)=.*/\1 size/p' .env.example
    )
    awk '{names[$1] = names[$1] (count[$1]++ ? " and " : "") $2}
        END {for (port in count) if (count[port] > 1) print names[port] " are both " port ": give each its own port"}' <<<"$ports"
}

# check_settings [cluster]: ends with everything that is wrong in one message, and says which settings are not what .env says.
check_settings() {
    local problems name
    # shellcheck disable=SC2046 # one word a profile
    problems=$(problems_of_settings "$@" $(tr , ' ' <<<"${own_profiles:-$(own_lines | value_of COMPOSE_PROFILES)}"))
    case $problems in
    '') ;;
    *$'\n'*) fail "settings that cannot be used:"$'\n'"  ${problems//$'\n'/$'\n'  }" ;;
    *) fail "$problems" ;;
    esac
    while read -r name; do
        [ -z "${!name+set}" ] || [ -z "$(in_file "$name")" ] || [ "${!name}" = "$(in_file "$name")" ] ||
            notes+=("$name is taken from the environment, .env has another value")
    done < <(sed -nE 's/^#?([A-Z0-9_]+)=.*/\1/p' .env.example)
    [ "$(setting KAFKA_BROKERS)" != 3 ] || [ "${1:-}" = cluster ] ||
        notes+=("KAFKA_BROKERS is used by the local mode alone: in Docker, --cluster starts three brokers")
    [ "$(setting KAFKA_SECURE)" != 1 ] || notes+=("KAFKA_SECURE is used by the local mode alone")
    [ ${#notes[@]} -eq 0 ] || printf 'note: %s\n' "${notes[@]}" >&2
}
