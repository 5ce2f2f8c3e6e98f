"""A Docker daemon, the one of this machine or one of our own, and commands for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MISSING = """\
Without a Docker daemon nothing of this can be tried, and none answers here ({why}). \
Start yours, or let this command start one of its own, which takes root and, on Debian and Ubuntu: \
apt install docker.io docker-compose debootstrap"""
START_S = 60.0


class Failed(Exception):
    """What was expected and did not happen."""


class Docker:
    """Commands to one daemon; `environment` says which, and what compose puts into its file."""

    def __init__(self, environment: dict[str, str], *, private: bool) -> None:
        self.environment = environment
        self.private = private
        self.compose_program = ["docker", "compose"]
        if self.fails("compose", "version"):
            self.compose_program = ["docker-compose"]
            if shutil.which("docker-compose") is None:
                raise Failed(
                    "Neither `docker compose` nor `docker-compose` is installed. On Debian and "
                    "Ubuntu: apt install docker-compose"
                )

    def __call__(self, *arguments: str, timeout_s: float = 120) -> str:
        return self._run(["docker", *arguments], timeout_s)

    def compose(self, *arguments: str, timeout_s: float = 300) -> str:
        return self._run([*self.compose_program, *arguments], timeout_s)

    def fails(self, *arguments: str, timeout_s: float = 120) -> bool:
        """Whether the command ends with an error."""
        try:
            self(*arguments, timeout_s=timeout_s)
        except Failed:
            return True
        return False

    def inspect(self, *names: str) -> Any:
        return json.loads(self("inspect", *names))[0]

    def both(self, *arguments: str) -> str:
        """What the command says to both streams, as one."""
        return self._run(["docker", *arguments], 120, stderr=subprocess.STDOUT)

    def _run(self, command: list[str], timeout_s: float, stderr: int = subprocess.PIPE) -> str:
        try:
            done = subprocess.run(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(command)} took more than {timeout_s:.0f} s") from None
        if done.returncode:
            said = (done.stdout + (done.stderr or ""))[-4000:].strip()
            raise Failed(f"{' '.join(command)} ended with {done.returncode}: {said}")
        return done.stdout


def answers(environment: dict[str, str]) -> bool:
    """Whether a daemon takes commands."""
    try:
        done = subprocess.run(
            ["docker", "info"], env=environment, capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@contextmanager
def daemon(folder: Path) -> Iterator[Docker]:
    """The daemon that answers, else one of our own with its files in `folder`, stopped at the end.

    Raises Failed when there is none and none can be started.
    """
    if answers(dict(os.environ)):
        yield Docker(dict(os.environ), private=False)
        return
    for program in ("docker", "dockerd", "debootstrap"):
        if shutil.which(program) is None:
            raise Failed(MISSING.format(why=f"{program} is not installed"))
    if os.geteuid():
        raise Failed(MISSING.format(why="and one of our own takes root"))
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"DOCKER_HOST": f"unix://{folder}/docker.sock"}
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "dockerd",
                "--storage-driver=overlay2",
                # The networks are those of compose, whose containers reach each other and this
                # machine, and nothing else: no rules are needed, and no bridge is left behind.
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                f"--data-root={folder / 'data'}",
                f"--exec-root={folder / 'exec'}",
                f"--host={environment['DOCKER_HOST']}",
                f"--pidfile={folder / 'pid'}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us: first the containers go, then the daemon.
        )
    try:
        deadline = time.monotonic() + START_S
        while not answers(environment):
            if process.poll() is not None or time.monotonic() > deadline:
                end = (folder / "dockerd.log").read_text(encoding="utf-8", errors="replace")
                raise Failed(MISSING.format(why=f"dockerd did not start:\n{end[-2000:]}\n"))
            time.sleep(0.5)
        yield Docker(environment, private=True)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        _unmount_below(folder)


def _unmount_below(folder: Path) -> None:
    """Of the network's own namespaces dockerd leaves one mounted, and a folder that holds a mount
    cannot be removed.
    """
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    for place in (line.split()[1] for line in reversed(mounts)):
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", place], check=False)
