"""What docker-compose.yml brings up, as a project of its own: its containers, and what is on the
topics, read from this machine through the ports that the file opens.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from pipelines import schemas
from pipelines.errors import Outage
from pipelines.kafka.stopping import Progress, Sent
from pipelines.local.processes import HOST, free_port
from pipelines.local.registry import url
from pipelines.producers.produce import produce
from pipelines.settings import Settings
from tests.kafka.harness import check_all_topics, read
from tools.compose_smoke.docker import Docker, Failed

FILE = Path(__file__).parents[2] / "docker-compose.yml"
PROJECT = "khabar-smoke"
IMAGE = "khabar:local"
# The ports of this machine that the file opens, by the variable that moves each.
PORTS = ("KAFKA_PORT", "REGISTRY_PORT", "METRICS_PORT", "FLINK_PORT")


class Stack:
    """The project's services by their names in the file: those of no profile, or the ones named,
    of a profile too, with what they need.
    """

    def __init__(self, docker: Docker, *services: str, profile: str | None = None) -> None:
        self.docker = docker
        self.began = time.time()
        self._services = services
        self._project = ["--project-name", PROJECT, "--file", str(FILE)]
        if profile:
            self._project += ["--profile", profile]
        # Free ones: the usual ones may be in use, by a Khabar of compose for one.
        ports = {name: free_port() for name in PORTS}
        docker.environment |= {name: str(port) for name, port in ports.items()}
        self._flink = f"http://{HOST}:{ports['FLINK_PORT']}"
        self.settings = Settings.of(
            {
                "bootstrap_servers": f"{HOST}:{ports['KAFKA_PORT']}",
                "registry_url": url(ports["REGISTRY_PORT"]),
            }
        )

    def up(self) -> None:
        """Returns when all that others depend on was healthy, and the rest was started."""
        self.began = time.time()
        arguments = ["up", "--detach", "--no-build", *self._services]
        self.docker.compose(*self._project, *arguments, timeout_s=300)

    def down(self) -> None:
        """Also deletes the data."""
        self.docker.compose(*self._project, "down", "--volumes", "--timeout", "30")

    def add(self, service: str) -> None:
        """One more service, without those that it depends on."""
        self.docker.compose(*self._project, "up", "--detach", "--no-build", "--no-deps", service)

    def once(self, service: str, *arguments: str) -> str:
        """Another container of the service, which ends by itself; what it says."""
        return self.docker.compose(*self._project, "run", "--rm", service, *arguments)

    def left(self) -> str:
        """What there is of the project."""
        label = f"--filter=label=com.docker.compose.project={PROJECT}"
        return "".join(
            self.docker(*words, "--quiet", label)
            for words in (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        )

    def id(self, service: str) -> str:
        """Of the service's container."""
        labels = (f"project={PROJECT}", f"service={service}")
        filters = [f"--filter=label=com.docker.compose.{label}" for label in labels]
        ids = self.docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()
        if len(ids) != 1:
            raise Failed(f"{service} has {len(ids)} containers")
        return ids[0]

    def container(self, service: str) -> Any:
        """What `docker inspect` says."""
        return self.docker.inspect(self.id(service))

    def start(self, service: str) -> None:
        """By hand, and without those that it depends on."""
        self.docker("start", self.id(service))

    def stop(self, service: str) -> float:
        """By hand: SIGTERM, and no restart. Returns the seconds that it took."""
        began = time.monotonic()
        grace = self.container(service)["Config"].get("StopTimeout") or 10
        self.docker("stop", "--time", str(grace), self.id(service))
        return time.monotonic() - began

    def kill(self, service: str) -> None:
        """SIGKILL past the daemon: what `docker kill` has killed is not started again."""
        pid = self.container(service)["State"]["Pid"]
        shell = ["--entrypoint", "sh", IMAGE, "-c", f"kill -9 {pid}"]
        self.docker("run", "--rm", "--pid=host", "--user=0", *shell)

    def died(self, service: str, since: float) -> list[int]:
        """The exit codes of the container since then."""
        said = self.docker(
            "events",
            f"--since={since:.3f}",
            f"--until={time.time():.3f}",
            f"--filter=container={self.id(service)}",
            "--filter=event=die",
            "--format={{.Actor.Attributes.exitCode}}",
        )
        return [int(code) for code in said.split()]

    def health(self, service: str) -> str:
        return str(self.container(service)["State"].get("Health", {}).get("Status"))

    def send(self, values: Iterable[bytes], rate: float) -> None:
        """To the raw topic, from this machine."""
        produce(((None, value) for value in values), self.settings, rate=rate)

    def offsets(self) -> tuple[int, int]:
        """Where the raw topic's partitions end, and up to where the pipeline has committed, in all:
        with an offset goes what became of its message. Needs no registry.
        """
        partitions = int(self.docker.environment.get("PARTITIONS", 1))
        with Progress(self.settings, Sent(0, partitions)) as progress:
            committed, lag = progress.counts()
            return committed + lag, committed

    def await_articles(self, timeout_s: float) -> float:
        """Seconds from `up` until a subscriber has the first article."""
        self.wait("an article", lambda: bool(read(self.settings, schemas.ARTICLES)), timeout_s)
        return time.time() - self.began

    def settle(self, timeout_s: float) -> None:
        """Returns when messages have come in from now on, and all of them are committed."""
        ends: list[int] = []

        def more() -> bool:
            ends.append(self.offsets()[0])
            return ends[-1] > ends[0]

        self.wait("a new message", more, timeout_s)
        self.catch_up(timeout_s)

    def catch_up(self, timeout_s: float) -> None:
        """Returns when all that has come in is committed."""
        ends: list[int] = []

        def done() -> bool:
            end, committed = self.offsets()
            ends.append(end)
            return committed >= ends[0]

        self.wait("the rest of the messages", done, timeout_s)

    def check(self) -> int:
        """Each message ended once, with the verdict of a run that nothing disturbs; returns their
        number. Nothing may come in meanwhile.
        """
        self.catch_up(120)
        try:
            check_all_topics(self.settings)
        except AssertionError as error:
            raise Failed(f"The output topics are not as they must be: {error}") from None
        return self.offsets()[0]

    def flink(self, path: str) -> Any:
        """What the job manager answers. Raises Outage when it does not."""
        try:
            with urlopen(self._flink + path, timeout=10) as answer:
                return json.load(answer)
        except OSError as error:
            raise Outage(f"The job manager does not answer: {error}") from None

    def wait(self, what: str, there: Callable[[], bool], timeout_s: float) -> None:
        """Returns when it is there; Kafka and the registry may be away until then."""
        deadline = time.monotonic() + timeout_s
        last = ""
        while time.monotonic() < deadline:
            try:
                if there():
                    return
                last = ""
            except Outage as outage:
                last = f" ({outage})"
            time.sleep(0.5)  # what it looks at takes time from the pipeline
        raise Failed(f"{what} did not come within {timeout_s:.0f} s{last}")

    def logs(self) -> str:
        """The end of what every service has said."""
        return self.docker.compose(*self._project, "logs", "--tail=30", "--no-color")

    def said(self, service: str) -> str:
        """All that a service has said, to both streams."""
        return self.docker.both("logs", self.id(service))
