#!/usr/bin/env bash
# The broker's health check: it has to answer the smallest request that there is (ApiVersions), because the port of one that hangs
# still takes connections. Bash alone: Kafka's own tools take seconds of a JVM.
exec 3<>/dev/tcp/localhost/29092 || exit 1
printf '\0\0\0\x0a\0\x12\0\0\0\0\0\1\xff\xff' >&3 # length, request 18 of version 0, correlation id 1, no client id
read -r -d '' -t 2 -u 3 _                         # the answer's length begins with a NUL
