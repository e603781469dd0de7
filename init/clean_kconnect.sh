#!/usr/bin/env bash
# Removes the connectors of init/connectors/ from the worker. Rows that were written stay where they are, and so do the
# positions: a connector that is created again goes on where it stopped. Safe to run again.
set -euo pipefail

KCONNECT_URL="${KCONNECT_URL:-http://localhost:8083}"

for file in "$(dirname "${BASH_SOURCE[0]}")"/connectors/*.json; do
    name="$(basename "$file" .json)"
    # 409 is a rebalance under way, which curl would not try again by itself.
    for _ in $(seq 60); do
        status="$(curl --noproxy '*' --silent --show-error --max-time 30 --output /dev/null --write-out '%{http_code}' \
            --request DELETE "$KCONNECT_URL/connectors/$name")"
        [[ "$status" == 409 ]] || break
        sleep 0.5
    done
    case "$status" in
        204) echo "$name: removed" ;;
        404) echo "$name: not there" ;;
        *)
            echo "clean_kconnect: $name: HTTP $status from $KCONNECT_URL" >&2
            exit 1
            ;;
    esac
done
