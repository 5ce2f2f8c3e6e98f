#!/bin/bash
# What the official image's scripts come to: FLINK_PROPERTIES behind settings of the image's own, and
# what Flink itself makes of the parts of the memory, for Java and for Flink.
set -euo pipefail
cd /opt/flink
cat > conf/config.yaml <<END
jobmanager.bind-host: 0.0.0.0
taskmanager.bind-host: 0.0.0.0
rest.address: 0.0.0.0
rest.bind-address: 0.0.0.0
blob.server.port: 6124
$FLINK_PROPERTIES
END
opened=()
for name in lang lang.reflect util util.concurrent util.concurrent.locks nio net io text time; do
  opened+=("--add-opens=java.base/java.$name=ALL-UNNAMED")
done
java=(/opt/java/bin/java "${opened[@]}" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp 'lib/*')
case $1 in
  jobmanager) what=JM main=entrypoint.StandaloneSessionClusterEntrypoint ;;
  taskmanager) what=TM main=taskexecutor.TaskManagerRunner ;;
esac
mapfile -t memory < <("${java[@]}" -Xmx64m org.apache.flink.runtime.util.bash.BashJavaUtils \
  "GET_${what}_RESOURCE_PARAMS" --configDir conf | sed -n 's/^BASH_JAVA_UTILS_EXEC_RESULT://p')
# shellcheck disable=SC2086 # several words
exec "${java[@]}" ${memory[0]} "org.apache.flink.runtime.$main" --configDir conf ${memory[1]}
