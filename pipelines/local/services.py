"""Kafka and the registry together: started at once, ready or an error, stopped in order."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pipelines.local import kafka, registry
from pipelines.local.artifacts import Programs, fetch
from pipelines.local.errors import LocalError
from pipelines.local.processes import HOST, Process, free_port, given_port

LOCK_SECONDS = 5.0  # What a killed predecessor's processes may need to be gone.


@dataclass(frozen=True)
class Addresses:
    """Where the services listen: `127.0.0.1:PORT`, and the registry's URL ("" without one)."""

    bootstrap_servers: str
    registry_url: str


class Services:
    """The embedded Kafka and registry, as a context manager or with start() and stop().

    `data` is a folder that is kept, and used again by the next start; without it everything is in
    a temporary folder that goes with stop(). Ports not given are free ones. `report` takes lines
    for people about progress. When this process ends without stop(), by kill -9 too, both are
    killed at once and a temporary folder is removed.
    """

    def __init__(
        self,
        *,
        data: Path | None = None,
        kafka_port: int | None = None,
        registry_port: int | None = None,
        report: Callable[[str], None] | None = None,
        with_registry: bool = True,
    ) -> None:
        self._data = data
        self._asked_kafka_port = kafka_port
        self._asked_registry_port = registry_port
        self._report = report or (lambda line: None)
        self._with_registry = with_registry
        self._folder: Path | None = None
        self._lock: int | None = None
        self._kafka: Process | None = None
        self._registry: Process | None = None

    def __enter__(self) -> "Services":
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
    def addresses(self) -> Addresses:
        """Known from start() on."""
        url = registry.url(self._registry_port) if self._with_registry else ""
        return Addresses(f"{HOST}:{self._kafka_port}", url)

    def start(self) -> None:
        """Fetches what is missing, starts both, returns when both answer. Raises LocalError."""
        self._kafka_port = _port(self._asked_kafka_port, "kafka")
        self._registry_port = _port(self._asked_registry_port, "registry")
        self._controller_port = free_port()
        self._programs: Programs = fetch(self._report)
        self._open_folder()
        began = time.monotonic()
        self._report("starting Kafka and the registry" if self._with_registry else "starting Kafka")
        try:
            if self._with_registry:  # First: it starts while Kafka's folder is formatted.
                self._start_registry()
            self._start_kafka()
            self._await_kafka()
            if self._with_registry:
                self._await_registry()
        except LocalError:
            self._end()
            self._folder = None  # It stays on disk: the error points at a log in it.
            raise
        except BaseException:
            self.stop()
            raise
        self._report(f"ready after {time.monotonic() - began:.1f} s")

    def stop(self) -> None:
        """Stops both, and removes a temporary folder. Does nothing when nothing runs."""
        self._end()
        if self._folder and not self._data:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def check(self) -> None:
        """Raises LocalError when one of them has ended without being asked to."""
        for process in (self._kafka, self._registry):
            if process and not process.running:
                raise process.failed("has ended")

    def kill_kafka(self) -> None:
        """kill -9."""
        assert self._kafka, "not started"
        self._kafka.kill()

    def restart_kafka(self) -> None:
        """Starts Kafka again, killed before if it runs: same port, same data. Raises LocalError."""
        self.kill_kafka()
        self._start_kafka()
        self._await_kafka()

    def kill_registry(self) -> None:
        """kill -9."""
        assert self._registry, "not started"
        self._registry.kill()

    def restart_registry(self) -> None:
        """Starts the registry again, killed before if it runs: same port, same schemas and ids.

        Raises LocalError.
        """
        self.kill_registry()
        self._start_registry()
        self._await_registry()

    def _start_kafka(self) -> None:
        assert self._folder
        command = kafka.command(
            self._programs.kafka, self._folder, self._kafka_port, self._controller_port
        )
        self._kafka = self._process("kafka", command)

    def _await_kafka(self) -> None:
        assert self._kafka
        self._kafka.wait_until(lambda: kafka.ready(self._kafka_port))

    def _start_registry(self) -> None:
        command = registry.command(self._programs.registry, self._registry_port)
        self._registry = self._process("registry", command)

    def _await_registry(self) -> None:
        assert self._registry
        self._registry.wait_until(lambda: registry.ready(self._registry_port))

    def _process(self, name: str, command: list[str]) -> Process:
        assert self._folder
        remove = None if self._data else self._folder
        return Process(name, command, folder=self._folder, remove=remove, keep_open=self._lock)

    def _open_folder(self) -> None:
        if self._data is None:
            self._folder = Path(tempfile.mkdtemp(prefix="khabar-"))
            return
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._data / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise LocalError(
                f"The data folder {self._data} cannot be used: {error.strerror}. "
                "Name another one, or leave it out for a temporary one."
            ) from error
        # The watchdogs hold it too, so it is free only when a killed predecessor's Java is gone.
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > deadline:
                os.close(lock)
                raise LocalError(
                    f"The data folder {self._data} is in use by another embedded Kafka. "
                    "Stop that one, name another folder, or leave it out for a temporary one."
                )
            time.sleep(0.1)
        self._lock = lock
        self._folder = self._data.absolute()

    def _end(self) -> None:
        running = [process for process in (self._registry, self._kafka) if process]
        for process in running:
            process.terminate()
        for process in running:
            process.finish()
        self._registry = self._kafka = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _port(asked: int | None, name: str) -> int:
    return free_port() if asked is None else given_port(asked, name)
