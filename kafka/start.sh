#!/usr/bin/env bash
# Starts a broker: start.sh DATA CONTROLLERS CONTROLLER_COMMAND... -- BROKER_COMMAND...
#
# After a kill -9 the metadata still have the broker as the leader of its partitions until its old session is over. The group
# coordinators read their offsets meanwhile, once for that leadership and once for the next, and Kafka 4.3 may take the end of
# one for the end of the other: the offsets of a group are gone then, or old, and its records are read again. So a controller
# alone comes first, and ends the old session. It is not needed where another controller (CONTROLLERS are HOST:PORT, the others
# of the cluster) has been there all the time, nor where there are no offsets yet.
set -euo pipefail

data=$1 controllers=$2
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
    for one in $controllers; do
        (exec 3<>"/dev/tcp/${one%:*}/${one##*:}") 2>/dev/null && return
    done
    return 1
}

# Runs beside this script, which may be killed itself: the controller must not outlive it, since it has the broker's port.
end_old_session() {
    local log pid left=100 active='' # tenths of a second
    log=$(mktemp)
    "${controller[@]}" >"$log" 2>&1 &
    pid=$!
    trap 'kill "$pid"' TERM
    until grep -q 'session has timed out' "$log" || [ $((left--)) -le 0 ]; do
        kill -0 "$pid" 2>/dev/null || break
        kill -0 $$ 2>/dev/null || break
        # There may be no session to end: the broker was killed before it had one.
        if [ -z "$active" ] && grep -q 'controller activation' "$log"; then active=1 left=30; fi
        sleep 0.1
    done
    sleep 0.2 # it writes what it has said within 0.03 s
    kill "$pid" 2>/dev/null || true
    wait "$pid" || true
    [ -n "$active" ] || tail -n 5 "$log" >&2
    rm "$log"
}

if was_killed && ! another_is_there; then
    end_old_session &
    trap 'kill "$!"; wait; exit 143' TERM INT
    wait "$!" || true
    trap - TERM INT
fi
exec "$@"
