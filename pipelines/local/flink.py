"""A Flink with the job server of Beam in front of it and a pool of its workers: on loopback what a
cluster has on several machines.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.local.artifacts import fetch_flink
from pipelines.local.group import Group
from pipelines.local.processes import HOST, answers, free_port, java_program

HEAP_MB = 1024
# Seconds between two tries of a job that failed; it is tried as often as it takes. What goes from
# one step to the next waits for company, by default for 100 ms.
_CONFIGURATION = """\
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 1000000
restart-strategy.fixed-delay.delay: 1 s
execution.buffer-timeout.interval: 5 ms
"""
# Of a cluster. A task manager takes none of its keys of memory from elsewhere, and one that is gone
# is missed after five seconds.
_CLUSTER = f"""\
jobmanager.rpc.address: {HOST}
jobmanager.rpc.port: {{rpc}}
jobmanager.bind-host: {HOST}
rest.address: {HOST}
rest.bind-address: {HOST}
rest.port: {{rest}}
taskmanager.host: {HOST}
taskmanager.bind-host: {HOST}
taskmanager.numberOfTaskSlots: 1
taskmanager.cpu.cores: 1.0
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.task.heap.size: 256m
taskmanager.memory.managed.size: 64m
taskmanager.memory.framework.off-heap.size: 64m
taskmanager.memory.task.off-heap.size: 64m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 64m
taskmanager.memory.jvm-overhead.max: 64m
heartbeat.interval: 1000
heartbeat.timeout: 5000
"""
_DRIVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
# Flink reaches into these packages of Java; without it a job ends while it is sent.
_OPENED = ("lang", "util", "nio", "net", "text", "time", "util.concurrent")


@dataclass(frozen=True)
class FlinkAddresses:
    """Where a job is sent to, where what it needs is stored, and where workers are asked for; and
    of a cluster its own REST.
    """

    job_endpoint: str
    artifact_endpoint: str
    workers: str
    master: str


class Flink(Group):
    """A Flink inside the job server's process, or with `task_managers` a cluster of so many, of one
    slot each, which outlives a job server.
    """

    READY = "Flink ready"

    def __init__(
        self, *, task_managers: int = 0, report: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(report)
        self._task_managers = task_managers

    @property
    def addresses(self) -> FlinkAddresses:
        """Known from start() on."""
        job, artifacts, pool, _, _, rest = (f"{HOST}:{port}" for port in self._ports)
        return FlinkAddresses(job, artifacts, pool, rest if self._task_managers else "")

    def kill_server(self) -> None:
        """kill -9 of the job server, which Flink and all jobs are in unless there is a cluster."""
        self._kill("flink")

    def restart_server(self) -> None:
        """A new job server on the same ports, the old one killed before; it knows of no job.

        Raises LocalError.
        """
        self.kill_server()
        self._start_server()
        self._await_server()

    @property
    def pool_pid(self) -> int:
        """The ancestor of all processes that run stages."""
        return self._processes["workers"].pid

    def kill_task_manager(self, number: int) -> None:
        """kill -9 of the task manager of this number, from 0."""
        self._kill(f"task-manager-{number}")

    def start_task_manager(self, number: int) -> None:
        """One in the place of the task manager that was killed; it may be asked for before Flink
        misses the old one.
        """
        self._launch(f"task-manager-{number}", self._java(_TASK_MANAGER, self._configuration()))

    def restart_job_manager(self) -> None:
        """kill -9 of the job manager, which forgets all jobs; then a new one. Raises LocalError."""
        self._kill("job-manager")
        self._start_job_manager()

    def _prepare(self) -> None:
        self._jars = fetch_flink(self._report)
        self._ports = [free_port() for _ in range(6)]
        folder = self._make_folder()
        configuration = _CONFIGURATION
        if self._task_managers:
            configuration += _CLUSTER.format(rpc=self._ports[4], rest=self._ports[5])
        (folder / "flink-conf.yaml").write_text(configuration, encoding="ascii")

    def _start(self) -> None:
        self._report("starting Flink and its workers")
        if self._task_managers:
            self._start_job_manager()
            for number in range(self._task_managers):
                self.start_task_manager(number)
        self._start_server()
        self._start_pool()
        self._await_server()
        self._await_pool()

    def _start_job_manager(self) -> None:
        self._launch("job-manager", self._java(_JOB_MANAGER, self._configuration()))
        self._await("job-manager", lambda: answers(self._ports[5]))

    def _start_server(self) -> None:
        assert self._folder
        job, artifacts, _, expansion, _, _ = self._ports
        arguments = [
            f"--flink-master={self.addresses.master or '[local]'}",
            f"--flink-conf-dir={self._folder}",
            f"--job-host={HOST}",
            f"--job-port={job}",
            f"--artifact-port={artifacts}",
            f"--expansion-port={expansion}",
            f"--artifacts-dir={self._folder / 'artifacts'}",
        ]
        self._launch("flink", self._java(_DRIVER, arguments))

    def _await_server(self) -> None:
        self._await("flink", lambda: all(map(answers, self._ports[:2])))

    def _start_pool(self) -> None:
        command = [sys.executable, "-m", "pipelines.pool", f"{HOST}:{self._ports[2]}"]
        self._launch("workers", command)

    def _await_pool(self) -> None:
        self._await("workers", lambda: answers(self._ports[2]))

    def _configuration(self) -> list[str]:
        return ["--configDir", str(self._folder)]

    def _java(self, program: str, arguments: Sequence[str]) -> list[str]:
        return [
            str(java_program()),
            f"-Xmx{HEAP_MB}m",
            "-XX:+UseSerialGC",
            *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENED),
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            f"{self._jars}/*",
            program,
            *arguments,
        ]
