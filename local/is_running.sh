#!/usr/bin/env bash
# Exit code 0 when the local stack in LOCAL_DIR runs.
launcher=$(sed -n '/"launcher"/,/}/s/.*"pid": *\([0-9]*\).*/\1/p' "$LOCAL_DIR/run/state.json" 2>/dev/null) || launcher=
# After a crash of the machine its number may be another program's.
[ -n "$launcher" ] && ps -p "$launcher" -o args= 2>/dev/null | grep -q -- '-m local'
