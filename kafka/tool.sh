#!/usr/bin/env bash
# One of Kafka's command-line tools, by the name under which this is called: docker-compose.yml links it in the broker's container
# as kafka-topics, kafka-console-consumer and so on. The broker's own settings are not the tool's: its JVM options would take
# memory and ports that the broker has.
unset "${!KAFKA_@}" JMX_PORT
KAFKA_HEAP_OPTS=-Xmx128m exec "/opt/kafka/bin/${0##*/}.sh" "$@"
