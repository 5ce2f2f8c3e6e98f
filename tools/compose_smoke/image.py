"""Builds our image and its worker, and says what they hold."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from tools.compose_smoke.docker import Docker, Failed
from tools.compose_smoke.stack import IMAGE

WORKER = "khabar-worker:local"
LIMIT_MB = 900
LISTED = 12  # packages that have a line of their own
BUILD_S = 1500.0
WORKER_S = 60.0
LISTENS = "import socket; socket.create_connection(('127.0.0.1', 50000), 2)"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")

Say = Callable[[str], None]


def build(docker: Docker, root: Path, say: Say) -> None:
    """Both targets; the second takes what the first has made."""
    proxies = [f"--build-arg={name}" for name in PROXIES if name in os.environ]
    for target, image in (("khabar", IMAGE), ("worker", WORKER)):
        began = time.monotonic()
        # A daemon of our own gives containers no other way out than this machine's.
        options = ["--network=host", *proxies, f"--target={target}", f"--tag={image}"]
        docker("build", *options, str(root), timeout_s=BUILD_S)
        say(f"built {image} in {time.monotonic() - began:.0f} s")


def examine(docker: Docker, base: str, stand_in: bool, say: Say) -> None:
    """Prints what the image is made of. Raises Failed when it is too large, or when a start would
    compile again what its machine code is for.
    """
    script = (Path(__file__).parent / "contents.py").read_text(encoding="utf-8")
    inside = json.loads(docker("run", "--rm", "--entrypoint=python", IMAGE, "-c", script))
    sizes = {name: docker.inspect(name)["Size"] for name in (IMAGE, base)}
    packages = sorted(inside["packages"].items(), key=lambda item: -item[1])
    rows = [(f"{base}{' (stand-in)' * stand_in}", sizes[base])]
    rows += packages[:LISTED]
    rows.append((f"{len(packages) - LISTED} more packages", sum(s for _, s in packages[LISTED:])))
    rows.append(("machine code of the loops", inside["code"]))
    rows.append(("the rest", sizes[IMAGE] - sum(size for _, size in rows)))
    say(f"{'MB':>6}  what {IMAGE} is made of")
    for what, size in rows:
        say(f"{size / 1e6:6.1f}  {what}")
    say(f"{sizes[IMAGE] / 1e6:6.1f}  all of it, at most {LIMIT_MB}")
    if sizes[IMAGE] > LIMIT_MB * 1e6:
        raise Failed(f"{IMAGE} takes more than {LIMIT_MB} MB")
    _rehearse(docker, say)


def _rehearse(docker: Docker, say: Say) -> None:
    """Runs what compiles; a new file would be a loop that was compiled anew."""
    arguments = ["--entrypoint=python", IMAGE, "-m", "pipelines.rehearsal"]
    began = time.monotonic()
    name = "khabar-smoke-rehearsal"
    try:
        docker("run", f"--name={name}", *arguments, timeout_s=300)
        took = time.monotonic() - began
        compiled = [line for line in docker("diff", name).splitlines() if ".nb" in line]
    finally:
        docker("rm", "--force", name)
    fractions = docker(
        "run", "--rm", "--entrypoint=sh", IMAGE, "-c",
        "find /opt/khabar -path '*/pipelines/stages/*.py' -printf '%T@\n' | grep -v '\\.0*$' || :",
    )  # fmt: skip
    say(f"a rehearsal in a new container takes {took:.1f} s and compiles {len(compiled)} files")
    if compiled or fractions:
        raise Failed("The machine code in the image would be compiled again at each start.")


def try_worker(docker: Docker, say: Say) -> None:
    """The worker listens, not as root, and its `python` is the one that has Khabar."""
    began = time.monotonic()
    container = docker("run", "--detach", "--init", WORKER).strip()
    try:
        while docker.fails("exec", container, "python", "-c", LISTENS):
            if time.monotonic() - began > WORKER_S:
                raise Failed(f"the worker does not listen: {docker('logs', container)}")
            time.sleep(0.5)
        said = docker("exec", container, "python", "-c", "import os, sys; import pipelines; "
                      "print(sys.executable, os.getuid() > 0)")  # fmt: skip
        say(f"the worker listens after {time.monotonic() - began:.1f} s: {said.strip()}")
        if said.split() != ["/opt/khabar/bin/python", "True"]:
            raise Failed(f"the worker runs {said}")
    finally:
        docker("rm", "--force", container)
