"""Images with the names of official ones, made of what package registries have, for a machine that
reaches no image registry: the same programs, on a Debian that debootstrap makes.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import jgo

from pipelines.local import fetch
from pipelines.local.artifacts import fetch_flink, maven, resolve
from pipelines.local.processes import java_program
from tools.compose_smoke.docker import Docker, Failed

HERE = Path(__file__).parent
LABEL = "khabar.stand-in"
# The Debian whose python3 is the version that the Dockerfile names.
SUITE, DEBIAN = "trixie", "khabar-smoke-debian:1"
PACKAGES = "python3,python3-pip,python3-venv,ca-certificates,curl"
# What official slim images leave out as well.
LEFT_OUT = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
)
# The command that the health check calls is in a jar that a broker does not need.
KAFKA_TOOLS = "org.apache.kafka:kafka-tools:4.1.1"
# What a cluster runs, and a log as simple as that of the other stand-ins.
FLINK = "org.apache.flink:flink-clients:{version}+org.slf4j:slf4j-simple:1.7.36"
PULL_S = 300.0

Say = Callable[[str], None]


def provide(docker: Docker, python: str, services: Iterable[str], say: Say) -> list[str]:
    """Makes sure that these images are there, `python` first; returns those that are stand-ins."""
    made = []
    for image in (python, *services):
        make = _MAKERS[image.partition(":")[0]]
        if docker.fails("image", "inspect", image):
            say(f"pulling {image}")
            if docker.fails("pull", image, timeout_s=PULL_S):
                say(f"{image} cannot be pulled: making a stand-in")
                make(docker, image, python, say)
        if docker(
            "image", "inspect", "-f", f'{{{{index .Config.Labels "{LABEL}"}}}}', image
        ).strip():
            made.append(image)
    return made


def _python(docker: Docker, image: str, python: str, say: Say) -> None:
    if docker.fails("image", "inspect", DEBIAN):
        say(f"debootstrap {SUITE}, a minute or two")
        _debian(docker)
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        trusted = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
        if trusted is None:
            raise Failed("This machine has no file of trusted certificates: name one by PIP_CERT.")
        shutil.copy(trusted, context / "trusted.crt")
        (context / "pip.conf").write_text(_pip_configuration(), encoding="utf-8")
        _build(docker, image, HERE / "python", context, python)


def _debian(docker: Docker) -> None:
    if shutil.which("debootstrap") is None:
        raise Failed("Stand-ins are made with debootstrap: apt install debootstrap")
    with tempfile.TemporaryDirectory() as folder:
        root, archive = Path(folder, "root"), Path(folder, "image.tar")
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if made.returncode:
            raise Failed(f"debootstrap failed:\n{made.stdout[-2000:]}")
        left_out = [f"--exclude=./{path}/*" for path in LEFT_OUT]
        subprocess.run(["tar", "-C", root, *left_out, "-cf", archive, "."], check=True)
        docker("import", str(archive), DEBIAN)


def _pip_configuration() -> str:
    """This machine's settings of pip, but for those that name its files."""
    listed = subprocess.run(
        ["pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    lines = ["[global]"]
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        value = value.strip("'")
        if not value.startswith("/"):
            lines.append(f"{name.rpartition('.')[2]} = {value}")
    return "\n".join(lines) + "\n"


def _kafka(docker: Docker, image: str, python: str, say: Say) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        _java(context)
        shutil.copytree(fetch(say).kafka, context / "jars")
        tools = resolve(maven(context / "maven", say), KAFKA_TOOLS)
        shutil.move(tools, context / "jars")
        shutil.rmtree(context / "maven")
        _build(docker, image, HERE / "kafka", context, python)


def _registry(docker: Docker, image: str, python: str, say: Say) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        _java(context)
        shutil.copytree(fetch(say).registry, context / "program")
        _build(docker, image, HERE / "registry", context, python)


def _flink(docker: Docker, image: str, python: str, say: Say) -> None:
    version = image.partition(":")[2].partition("-")[0]
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        _java(context)
        (context / "lib").mkdir()
        downloaded = maven(context / "maven", say)
        for jar in jgo.resolve(FLINK.format(version=version)):
            coordinate = f"{jar.groupId}:{jar.artifactId}:{jar.version}"
            shutil.move(resolve(downloaded, coordinate), context / "lib")
        shutil.rmtree(context / "maven")
        _build(docker, image, HERE / "flink", context, python)


def _job_server(docker: Docker, image: str, python: str, say: Say) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        _java(context)
        shutil.copytree(fetch_flink(say), context / "jars")
        _build(docker, image, HERE / "job_server", context, python)


def _java(context: Path) -> None:
    shutil.copytree(java_program().parents[1], context / "java", symlinks=True)


def _build(docker: Docker, image: str, files: Path, context: Path, python: str) -> None:
    shutil.copytree(files, context, dirs_exist_ok=True)
    argument = ["--build-arg", f"PYTHON={python}"] if files.name != "python" else []
    docker("build", "--tag", image, *argument, str(context), timeout_s=600)


_MAKERS = {
    "python": _python,
    "apache/kafka": _kafka,
    "apicurio/apicurio-registry": _registry,
    "flink": _flink,
    "apache/beam_flink1.19_job_server": _job_server,
}
