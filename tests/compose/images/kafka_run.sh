#!/usr/bin/env bash
# What the broker's image runs, for a test image whose own ends where the storage is formatted already: the real one goes on.
set -euo pipefail
run=/opt/kafka/bin/kafka-run-class.sh
export CLUSTER_ID=${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}
said=$("$run" kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \
    --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||
    grep -q 'already formatted' <<<"$said" || { echo "$said" && exit 1; }
export KAFKA_LOG4J_OPTS=${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml}
exec "$run" kafka.Kafka /opt/kafka/config/server.properties
