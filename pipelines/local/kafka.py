"""Apache Kafka as one node, broker and controller in one process, on loopback."""

import base64
import subprocess
import uuid
from pathlib import Path

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from pipelines.local.errors import LocalError
from pipelines.local.processes import HOST, answers, java, java_environment

HEAP_MB = 256
# 16 MiB of message, as Khabar's topics allow, and 1 MiB for headers and framing.
MAX_MESSAGE_BYTES = 17 * 1024 * 1024

CONFIGURATION = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@{host}:{controller_port}
log.dirs=kafka
auto.create.topics.enable=false
message.max.bytes={max_message}
replica.fetch.max.bytes={max_message}
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
# A Kafka that was killed and started again takes nothing until its former session has ended: by
# default 9 s (heartbeats each 2 s).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# The default, 128 MiB, is taken from the heap at once and costs 130 MB of memory.
log.cleaner.dedupe.buffer.size=4194304
"""
# Every path is relative to the working folder: Java reads a .properties file as Latin-1.


def command(jars: Path, folder: Path, port: int, controller_port: int) -> list[str]:
    """The command line for a node whose files are in `folder`, formatted when they are new.

    Run it with `folder` as its working folder. Raises LocalError when formatting fails.
    """
    (folder / "kafka.properties").write_text(
        CONFIGURATION.format(
            host=HOST,
            port=port,
            controller_port=controller_port,
            max_message=MAX_MESSAGE_BYTES,
        ),
        encoding="ascii",
    )
    start = [
        *java(HEAP_MB),
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss",
        "-cp",
        f"{jars}/*",
    ]
    # Written last by the formatter, so a format that was cut short is done again.
    if not (folder / "kafka" / "meta.properties").exists():
        _format(start, folder)
    return [*start, "kafka.Kafka", "kafka.properties"]


def _format(start: list[str], folder: Path) -> None:
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # With `=`: an id may begin with a dash.
    formatter = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
    done = subprocess.run(
        [*start, *formatter, "--config=kafka.properties"],
        cwd=folder,
        env=java_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalError(
            f"Kafka could not prepare the folder {folder}: {(done.stdout + done.stderr).strip()} "
            f"Look at what that names; when the data is not needed, delete {folder} and try again."
        )


def ready(port: int) -> bool:
    """Whether the broker on this port takes requests, and the cluster counts it in."""
    if not answers(port):  # The client would wait for seconds before it tries again.
        return False
    try:
        client = KafkaAdminClient(bootstrap_servers=f"{HOST}:{port}")
        try:
            brokers = client.describe_cluster()["brokers"]
        finally:
            client.close()
    except KafkaError:
        return False
    return any(not broker["is_fenced"] for broker in brokers)
