#!/bin/bash
# shellcheck disable=SC2086 # several words
exec /opt/java/bin/java ${KAFKA_HEAP_OPTS:--Xmx256M} ${KAFKA_JVM_PERFORMANCE_OPTS-} -cp '/opt/kafka/libs/*' \
  -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
  org.apache.kafka.tools.BrokerApiVersionsCommand "$@"
