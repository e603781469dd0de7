#!/usr/bin/env bash
# What the broker's container runs. Kafka's tools are off PATH in this image and end with .sh: they get their names in a folder
# that is on every PATH.
set -euo pipefail

for tool in /opt/kafka/bin/*.sh; do
    ln -sf /opt/kafka-tools/tool.sh "/usr/local/sbin/$(basename "$tool" .sh)"
done

# All that the broker logs is on its output, which Docker rotates. By itself it writes files in the container too, for ever, and
# up to 1 GB of garbage collections.
export KAFKA_LOG4J_OPTS=-Dlog4j2.configurationFile=/opt/kafka-tools/log4j2.yaml EXTRA_ARGS='-name kafkaServer'

others=$(tr ',' '\n' <<<"$KAFKA_CONTROLLER_QUORUM_VOTERS" | sed "/^$KAFKA_NODE_ID@/d; s/.*@//; s/:.*/:29092/")
# SESSION_OF_A_KILLED_BROKER in local/broker.py: the controller alone has these settings, unless a cluster's.
exec bash /opt/kafka-tools/start.sh "$KAFKA_LOG_DIRS" "$others" \
    env -u KAFKA_ADVERTISED_LISTENERS -u KAFKA_INTER_BROKER_LISTENER_NAME \
    KAFKA_PROCESS_ROLES=controller "KAFKA_LISTENERS=${KAFKA_LISTENERS##*,}" \
    "KAFKA_BROKER_SESSION_TIMEOUT_MS=${KAFKA_BROKER_SESSION_TIMEOUT_MS:-400}" \
    "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS=${KAFKA_BROKER_HEARTBEAT_INTERVAL_MS:-100}" /etc/kafka/docker/run \
    -- /etc/kafka/docker/run
