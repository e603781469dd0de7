#!/usr/bin/env bash
# Starts a broker: start.sh DATA BROKERS CONTROLLER_COMMAND... -- BROKER_COMMAND...
#
# After a kill -9 the metadata still have the broker as the leader of its partitions until its old session is over. The group
# coordinators read their offsets meanwhile, once for that leadership and once for the next, and Kafka 4.3 may take the end of
# one for the end of the other: the offsets of a group are gone then, or old, and its records are read again. So a controller
# alone comes first, and ends the old session. It is not needed where another broker is up (BROKERS are HOST:PORT, the others of
# the cluster): that one leads the partitions meanwhile. Nor where there are no offsets yet.
set -euo pipefail

data=$1 brokers=$2
shift 2
controller=()
while [ "$1" != -- ]; do
    controller+=("$1")
    shift
done
shift

was_killed() { [ ! -e "$data/.kafka_cleanshutdown" ] && ls -d "$data"/__consumer_offsets-* >/dev/null 2>&1; }

another_is_there() {
    local one
    for one in $brokers; do
        (exec 3<>"/dev/tcp/${one%:*}/${one##*:}") 2>/dev/null && return
    done
    return 1
}

# Runs beside this script, which may be killed itself: the controller must not outlive it, since it has the broker's port.
end_old_session() {
    local log ended pid='' active='' left=600 # tenths of a second: on a busy machine it takes half a minute to start
    ended="Fencing broker $(sed -n 's/^node.id=//p' "$data/meta.properties") at .* session has timed out"
    log=$(mktemp)
    trap '[ -z "$pid" ] || stop "$pid"; rm "$log"; exit 143' TERM
    "${controller[@]}" >"$log" 2>&1 &
    pid=$!
    until grep -q "$ended" "$log" || [ $((left--)) -le 0 ] || another_is_there; do
        kill -0 $$ 2>/dev/null || break
        if ! kill -0 "$pid" 2>/dev/null; then
            echo "$0: the controller that runs before a broker that was killed ended by itself:" >&2
            tail -n 5 "$log" >&2
            rm "$log"
            return 1
        fi
        # There may be no session to end: the broker was killed before it had one.
        if [ -z "$active" ] && grep -q 'controller activation' "$log"; then active=1 left=30; fi
        sleep 0.1
    done
    sleep 0.2 # it writes what it has said within 0.03 s
    stop "$pid"
    if [ -z "$active" ] && [ "$left" -lt 0 ]; then
        echo "$0: no controller got active in time, the broker starts without: records may be processed again" >&2
        tail -n 5 "$log" >&2
    fi
    rm "$log"
}

stop() {
    local left=50
    kill "$1" 2>/dev/null || return 0
    while kill -0 "$1" 2>/dev/null && [ $((left--)) -gt 0 ]; do sleep 0.1; done
    kill -9 "$1" 2>/dev/null || return 0
    wait "$1" 2>/dev/null || true
}

if was_killed && ! another_is_there; then
    end_old_session &
    trap 'kill "$!" || true; wait; exit 143' TERM INT
    wait "$!"
    trap - TERM INT
fi
exec "$@"
