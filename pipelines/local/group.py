"""Processes that start and stop together: at once, ready or an error, gone at the end."""

import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pipelines.local.errors import LocalError
from pipelines.local.processes import Process


class Group(ABC):
    """A context manager, or start() and stop(); `report` takes lines for people about progress.

    When this process ends without stop(), by kill -9 too, all of them are killed at once and a
    temporary folder is removed.
    """

    # How the line begins that says that all of them answer.
    READY = "ready"

    def __init__(self, report: Callable[[str], None] | None) -> None:
        self._report = report or (lambda line: None)
        self._folder: Path | None = None
        self._is_temporary = True
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Fetches what is missing, starts all, returns when all answer. Raises LocalError."""
        self._prepare()
        began = time.monotonic()
        try:
            self._start()
        except LocalError:
            self._end()
            self._folder = None  # It stays on disk: the error points at a log in it.
            raise
        except BaseException:
            self.stop()
            raise
        self._report(f"{self.READY} after {time.monotonic() - began:.1f} s")

    def stop(self) -> None:
        """Stops all, and removes a temporary folder. Does nothing when nothing runs."""
        self._end()
        if self._folder and self._is_temporary:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def check(self) -> None:
        """Raises LocalError when one of them has ended without being asked to."""
        for process in self._processes.values():
            if not process.running:
                raise process.failed("has ended")

    @abstractmethod
    def _prepare(self) -> None:
        """Fetches programs, finds ports, and opens the folder."""

    @abstractmethod
    def _start(self) -> None:
        """Starts all, and returns when all answer."""

    def _make_folder(self) -> Path:
        self._folder = Path(tempfile.mkdtemp(prefix="khabar-"))
        return self._folder

    def _launch(
        self,
        name: str,
        command: Sequence[str],
        *,
        keep_open: int | None = None,
    ) -> None:
        """Starts one; what ran under this name must be gone."""
        assert self._folder
        self._processes[name] = Process(
            name,
            command,
            folder=self._folder,
            remove=self._folder if self._is_temporary else None,
            keep_open=keep_open,
        )

    def _await(self, name: str, ready: Callable[[], bool]) -> None:
        self._processes[name].wait_until(ready)

    def _kill(self, name: str) -> None:
        """kill -9. Does nothing when it does not run."""
        self._processes[name].kill()

    def _end(self) -> None:
        # The last first: it may need those before it to end well.
        running = list(reversed(self._processes.values()))
        for process in running:
            process.terminate()
        for process in running:
            process.finish()
        self._processes.clear()
