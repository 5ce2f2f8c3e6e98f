"""A Flink in one process, with the job server of Beam in front of it and a pool of its workers: on
loopback what a cluster has on several machines.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pipelines.local.artifacts import fetch_flink
from pipelines.local.errors import LocalError
from pipelines.local.processes import HOST, Process, answers, free_port, java_program

HEAP_MB = 1024
# Seconds between two tries of a job that failed; it is tried as often as it takes.
CONFIGURATION = """\
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 1000000
restart-strategy.fixed-delay.delay: 1 s
"""
# Flink reaches into these packages of Java; without it a job ends while it is sent.
_OPENED = ("lang", "util", "nio", "net", "text", "time", "util.concurrent")


@dataclass(frozen=True)
class FlinkAddresses:
    """Where a job is sent to, where what it needs is stored, and where workers are asked for."""

    job_endpoint: str
    artifact_endpoint: str
    workers: str


class Flink:
    """A Flink, as a context manager or with start() and stop(); `report` takes lines for people.

    When this process ends without stop(), by kill -9 too, both are killed.
    """

    def __init__(self, *, report: Callable[[str], None] | None = None) -> None:
        self._report = report or (lambda line: None)
        self._folder: Path | None = None
        self._server: Process | None = None
        self._pool: Process | None = None

    def __enter__(self) -> "Flink":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def addresses(self) -> FlinkAddresses:
        """Known from start() on."""
        job, artifacts, pool = (f"{HOST}:{port}" for port in self._ports[:3])
        return FlinkAddresses(job, artifacts, pool)

    def start(self) -> None:
        """Fetches what is missing, starts both, returns when both answer. Raises LocalError."""
        self._jars = fetch_flink(self._report)
        self._folder = Path(tempfile.mkdtemp(prefix="khabar-flink-"))
        (self._folder / "flink-conf.yaml").write_text(CONFIGURATION, encoding="ascii")
        self._ports = [free_port() for _ in range(4)]
        began = time.monotonic()
        self._report("starting Flink and its workers")
        try:
            self._start_server()
            self._start_pool()
            self._await()
        except LocalError:
            self._end()
            self._folder = None  # It stays on disk: the error points at a log in it.
            raise
        except BaseException:
            self.stop()
            raise
        self._report(f"Flink ready after {time.monotonic() - began:.1f} s")

    def stop(self) -> None:
        """Stops both. Does nothing when nothing runs."""
        self._end()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def check(self) -> None:
        """Raises LocalError when one of them has ended without being asked to."""
        for process in (self._server, self._pool):
            if process and not process.running:
                raise process.failed("has ended")

    def restart_server(self) -> None:
        """kill -9 of the job server, with Flink and all jobs in it; then a new one, on the same
        ports, that knows of no job. Raises LocalError.
        """
        assert self._server, "not started"
        self._server.kill()
        self._start_server()
        self._await()

    def restart_pool(self) -> None:
        """kill -9 of the workers, then a new pool on the same port. Raises LocalError."""
        assert self._pool, "not started"
        self._pool.kill()
        self._start_pool()
        self._await()

    def _start_server(self) -> None:
        assert self._folder
        job, artifacts, _, expansion = self._ports
        command = [
            str(java_program()),
            f"-Xmx{HEAP_MB}m",
            "-XX:+UseSerialGC",
            *(f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in _OPENED),
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            f"{self._jars}/*",
            "org.apache.beam.runners.flink.FlinkJobServerDriver",
            "--flink-master=[local]",
            f"--flink-conf-dir={self._folder}",
            f"--job-host={HOST}",
            f"--job-port={job}",
            f"--artifact-port={artifacts}",
            f"--expansion-port={expansion}",
            f"--artifacts-dir={self._folder / 'artifacts'}",
        ]
        self._server = Process("flink", command, folder=self._folder, remove=self._folder)

    def _start_pool(self) -> None:
        assert self._folder
        pool = "apache_beam.runners.worker.worker_pool_main"
        command = [sys.executable, "-m", pool, f"--service_port={self._ports[2]}"]
        # The pool starts its workers as `python`.
        beside = str(Path(sys.executable).parent)
        environment = os.environ | {"PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', '')}"}
        self._pool = Process("workers", command, folder=self._folder, environment=environment)

    def _await(self) -> None:
        assert self._server
        assert self._pool
        self._server.wait_until(lambda: all(map(answers, self._ports[:2])))
        self._pool.wait_until(lambda: answers(self._ports[2]))

    def _end(self) -> None:
        running = [process for process in (self._server, self._pool) if process]
        for process in running:
            process.terminate()
        for process in running:
            process.finish()
        self._server = self._pool = None
