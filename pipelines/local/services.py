"""Kafka and the registry together: started at once, ready or an error, stopped in order."""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.local import kafka, registry
from pipelines.local.artifacts import Programs, fetch
from pipelines.local.errors import LocalError
from pipelines.local.group import Group
from pipelines.local.processes import HOST, free_port, given_port

LOCK_SECONDS = 5.0  # What a killed predecessor's processes may need to be gone.


@dataclass(frozen=True)
class Addresses:
    """Where the services listen: `127.0.0.1:PORT`, and the registry's URL ("" without one)."""

    bootstrap_servers: str
    registry_url: str


class Services(Group):
    """The embedded Kafka and registry.

    `data` is a folder that is kept, and used again by the next start; without it everything is in
    a temporary folder that goes with stop(). Ports not given are free ones.
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
        super().__init__(report)
        self._data = data
        self._asked_kafka_port = kafka_port
        self._asked_registry_port = registry_port
        self._with_registry = with_registry
        self._lock: int | None = None

    @property
    def addresses(self) -> Addresses:
        """Known from start() on."""
        url = registry.url(self._registry_port) if self._with_registry else ""
        return Addresses(f"{HOST}:{self._kafka_port}", url)

    def kill_kafka(self) -> None:
        """kill -9."""
        self._kill("kafka")

    def restart_kafka(self) -> None:
        """Starts Kafka again, killed before if it runs: same port, same data. Raises LocalError."""
        self.kill_kafka()
        self._start_kafka()
        self._await_kafka()

    def kill_registry(self) -> None:
        """kill -9."""
        self._kill("registry")

    def restart_registry(self) -> None:
        """Starts the registry again, killed before if it runs: same port, same schemas and ids.

        Raises LocalError.
        """
        self.kill_registry()
        self._start_registry()
        self._await_registry()

    def _prepare(self) -> None:
        self._kafka_port = _port(self._asked_kafka_port, "kafka")
        self._registry_port = _port(self._asked_registry_port, "registry")
        self._controller_port = free_port()
        self._programs: Programs = fetch(self._report)
        if self._data is None:
            self._make_folder()
        else:
            self._open_folder(self._data)

    def _start(self) -> None:
        self._report("starting Kafka and the registry" if self._with_registry else "starting Kafka")
        if self._with_registry:  # First: it starts while Kafka's folder is formatted.
            self._start_registry()
        self._start_kafka()
        self._await_kafka()
        if self._with_registry:
            self._await_registry()

    def _start_kafka(self) -> None:
        assert self._folder
        command = kafka.command(
            self._programs.kafka, self._folder, self._kafka_port, self._controller_port
        )
        self._launch("kafka", command, keep_open=self._lock)

    def _await_kafka(self) -> None:
        self._await("kafka", lambda: kafka.ready(self._kafka_port))

    def _start_registry(self) -> None:
        command = registry.command(self._programs.registry, self._registry_port)
        self._launch("registry", command, keep_open=self._lock)

    def _await_registry(self) -> None:
        self._await("registry", lambda: registry.ready(self._registry_port))

    def _open_folder(self, data: Path) -> None:
        try:
            data.mkdir(parents=True, exist_ok=True)
            lock = os.open(data / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise LocalError(
                f"The data folder {data} cannot be used: {error.strerror}. "
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
                    f"The data folder {data} is in use by another embedded Kafka. "
                    "Stop that one, name another folder, or leave it out for a temporary one."
                )
            time.sleep(0.1)
        self._lock = lock
        self._folder = data.absolute()
        self._is_temporary = False

    def _end(self) -> None:
        super()._end()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _port(asked: int | None, name: str) -> int:
    return free_port() if asked is None else given_port(asked, name)
