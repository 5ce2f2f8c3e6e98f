"""The embedded Kafka and registry: fetched, checked, started, killed, restarted, and gone."""

import hashlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from pipelines.local import LocalError, Services, artifacts, fetch, processes, services
from pipelines.local.processes import Process

SCHEMA = '{"type": "record", "name": "A", "fields": [{"name": "x", "type": "int"}]}'
# A reader of this cannot read what was written with SCHEMA: `y` has no default.
INCOMPATIBLE = '{"type": "record", "name": "A", "fields": [{"name": "y", "type": "int"}]}'


def create(bootstrap: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, 1, 1)])
    admin.close()


def send(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, max_request_size=17 * 2**20)
    for value in values:
        producer.send(topic, value).get(timeout=20)
    producer.close()


def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """The first `count` committed values; what has come after 20 s when there are fewer."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        consumer_timeout_ms=20_000,
    )
    consumer.assign([TopicPartition(topic, 0)])
    values: list[bytes] = []
    for record in consumer:
        values.append(record.value)
        if len(values) == count:
            break
    consumer.close()
    return values


def registry(url: str, method: str, path: str, schema: str | None = None) -> tuple[int, Any]:
    host, _, base = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=20)
    body = None if schema is None else json.dumps({"schema": schema})
    connection.request(method, f"/{base}{path}", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    status, answer = response.status, json.load(response)
    connection.close()
    return status, answer


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Both, in a folder with an Arabic name, started in the C locale and with a proxy set."""
    started = Services(data=tmp_path_factory.mktemp("local") / "أخبار اليوم")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LC_ALL", "C")
        patch.setenv("http_proxy", "http://127.0.0.1:9")
        started.start()
    yield started
    started.stop()


# --- running ---


def test_both_answer(running: Services) -> None:
    """Kafka and the registry run on loopback; the registry's rule is BACKWARD."""
    addresses = running.addresses
    assert addresses.bootstrap_servers.startswith("127.0.0.1:")
    assert registry(addresses.registry_url, "GET", "/config") == (
        200,
        {"compatibilityLevel": "BACKWARD"},
    )
    subject = "/subjects/rule-value/versions"
    assert registry(addresses.registry_url, "POST", subject, SCHEMA)[0] == 200
    assert registry(addresses.registry_url, "POST", subject, INCOMPATIBLE)[0] == 409


def test_large_messages_and_transactions(running: Services) -> None:
    """16 MiB of value pass, and a transaction commits on the one node."""
    bootstrap = running.addresses.bootstrap_servers
    create(bootstrap, "large")
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, transactional_id="large", max_request_size=17 * 2**20
    )
    producer.init_transactions()
    producer.begin_transaction()
    producer.send("large", b"x" * 2**24)
    producer.commit_transaction()
    producer.close()
    assert [len(value) for value in read(bootstrap, "large", 1)] == [2**24]


def test_topics_are_not_made_by_accident(running: Services) -> None:
    """A topic that was not created does not come into being because someone asks for it."""
    consumer = KafkaConsumer(bootstrap_servers=running.addresses.bootstrap_servers)
    assert not consumer.partitions_for_topic("nobody-made-this")
    assert "nobody-made-this" not in consumer.topics()
    consumer.close()


def test_restart_kafka_keeps_messages(running: Services) -> None:
    """After kill -9 nothing listens; the restarted Kafka has the same port and the messages."""
    bootstrap = running.addresses.bootstrap_servers
    create(bootstrap, "kept")
    send(bootstrap, "kept", b"1", b"2")
    running.kill_kafka()
    assert not processes.answers(int(bootstrap.rpartition(":")[2]))
    running.restart_kafka()
    assert running.addresses.bootstrap_servers == bootstrap
    send(bootstrap, "kept", b"3")
    assert read(bootstrap, "kept", 3) == [b"1", b"2", b"3"]


def test_restart_registry_keeps_ids(running: Services) -> None:
    """A schema registered right before kill -9 keeps its id, and the rule stays BACKWARD."""
    url = running.addresses.registry_url
    subject = "/subjects/kept-value/versions"
    _, before = registry(url, "POST", subject, SCHEMA.replace('"A"', '"Kept"'))
    running.kill_registry()
    running.restart_registry()
    assert registry(url, "GET", f"/schemas/ids/{before['id']}")[0] == 200
    assert registry(url, "POST", subject, SCHEMA.replace('"A"', '"Kept"')) == (200, before)
    other = registry(url, "POST", "/subjects/new-value/versions", SCHEMA.replace('"A"', '"New"'))
    assert other[1]["id"] > before["id"]
    assert registry(url, "GET", "/config")[1] == {"compatibilityLevel": "BACKWARD"}


def test_named_folder_is_kept(running: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages and ids outlive stop() and start() in a named folder; two at once are refused."""
    bootstrap = running.addresses.bootstrap_servers
    create(bootstrap, "named")
    send(bootstrap, "named", b"1")
    subject = "/subjects/named-value/versions"
    schema = SCHEMA.replace('"A"', '"Named"')
    answer = registry(running.addresses.registry_url, "POST", subject, schema)
    monkeypatch.setattr(services, "LOCK_SECONDS", 0.2)
    with pytest.raises(LocalError, match="in use by another embedded Kafka"):
        Services(data=running._data).start()
    running.stop()
    running.start()
    assert read(running.addresses.bootstrap_servers, "named", 1) == [b"1"]
    assert registry(running.addresses.registry_url, "POST", subject, schema) == answer


def test_temporary_folder_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a named folder nothing is left after stop(), which may be called twice; without a
    registry there is no URL of one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lines: list[str] = []
    with Services(with_registry=False, report=lines.append) as kafka_only:
        assert kafka_only.addresses.registry_url == ""
        assert list(tmp_path.iterdir())
        kafka_only.stop()
    assert not list(tmp_path.iterdir())
    assert lines[0] == "starting Kafka"
    assert lines[-1].startswith("ready after")


PARENT = """
import json, psutil, threading, time
from pipelines.local import Services
services = Services()
thread = threading.Thread(target=services.start)  # Its end must not end the services.
thread.start()
thread.join()
time.sleep(0.5)
children = psutil.Process().children(recursive=True)
print(json.dumps([[child.pid, child.create_time(), child.name()] for child in children]))
print(services._folder, flush=True)
time.sleep(600)
"""


def test_kill_9_leaves_nothing() -> None:
    """After kill -9 of the parent no process runs and no temporary folder is left; until then a
    Ctrl-C in its terminal does not reach Kafka."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout
        try:
            children = json.loads(parent.stdout.readline())
            folder = Path(parent.stdout.readline().strip())
            assert [name for _, _, name in children].count("java") == 2
            assert folder.is_dir()
            group = os.getpgid(parent.pid)
            assert all(os.getpgid(pid) != group for pid, _, _ in children)
        finally:
            parent.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (folder.exists() or any(map(alive, children))):
        time.sleep(0.05)
    assert not [child for child in children if alive(child)]
    assert not folder.exists()


def alive(child: list[Any]) -> bool:
    pid, created, _ = child
    try:
        process = psutil.Process(pid)
        return process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# --- what goes wrong at start ---


def test_taken_port() -> None:
    """A given port that another program holds is named, before anything is fetched or started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LocalError, match=f"Port {port} .* --kafka-port"):
            Services(kafka_port=port).start()
        with pytest.raises(LocalError, match=f"Port {port} .* --registry-port"):
            Services(registry_port=port).start()


def test_kafka_that_dies_at_start_shows_its_log(tmp_path: Path) -> None:
    """When Kafka ends while starting, the error has the end of its log and the log's path."""
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "meta.properties").write_text("version=7\n")
    with pytest.raises(LocalError) as raised:
        Services(data=tmp_path, with_registry=False).start()
    assert str(tmp_path / "kafka.log") in str(raised.value)
    assert "meta.properties" in str(raised.value)
    assert "ended while starting" in str(raised.value)


# --- processes ---


def test_stubborn_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that does not heed SIGTERM is killed after the limit, and stopping twice is one."""
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    process = Process(
        "stubborn", ["sh", "-c", "trap '' TERM; echo up; exec sleep 60"], folder=tmp_path
    )
    process.wait_until(lambda: process.tail() == "up")
    child = psutil.Process(process._watchdog.pid).children()[0]
    process.terminate()
    process.finish()
    assert not process.running
    assert not child.is_running()
    process.terminate()
    process.finish()


def test_process_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting ends at the limit, with the log's end and path."""
    monkeypatch.setattr(processes, "READY_SECONDS", 0.3)
    process = Process("slow", ["sh", "-c", "echo still here; exec sleep 60"], folder=tmp_path)
    with pytest.raises(LocalError, match=r"(?s)did not answer.*slow\.log.*still here"):
        process.wait_until(lambda: False)
    process.kill()


def test_watchdog_survives_signals_to_the_group(tmp_path: Path) -> None:
    """SIGINT and SIGTERM to the watchdog leave the command to its starter."""
    process = Process("calm", ["sh", "-c", "echo up; exec sleep 60"], folder=tmp_path)
    process.wait_until(lambda: process.tail() == "up")
    watchdog = psutil.Process(process._watchdog.pid)
    watchdog.send_signal(signal.SIGINT)
    watchdog.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert process.running
    process.kill()
    assert not process.running


# --- fetching, from a repository on loopback with files of a few bytes ---


class Repository(ThreadingHTTPServer):
    """A Maven repository that knows its files by their names, and counts what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    server: Repository

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.server.asked.append(name)
        content = self.server.files.get(name)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """Stands in for Maven Central, with two jars and the registry's archive, into a new cache."""
    server = Repository()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("runner.jar"))
    server.files = {
        "kafka_2.13-4.1.1.jar": b"kafka",
        "slf4j-simple-1.7.36.jar": b"slf4j",
        "apicurio-registry-app-3.0.9-all.tar.gz": packed.getvalue(),
    }
    coordinates = {
        artifacts.KAFKA: ["org.apache.kafka:kafka_2.13:4.1.1", "org.slf4j:slf4j-simple:1.7.36"],
        artifacts.REGISTRY: [artifacts.REGISTRY_ARCHIVE],
    }
    digests = {
        program: {
            name: hashlib.sha256(server.files[artifacts.file_name(name)]).hexdigest()
            for name in names
        }
        for program, names in coordinates.items()
    }
    (tmp_path / "digests.json").write_text(json.dumps(digests))
    monkeypatch.setattr(artifacts, "DIGESTS", tmp_path / "digests.json")
    monkeypatch.setattr(artifacts, "TRIES", 1)
    monkeypatch.setenv("KHABAR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(
        "jgo.maven._core.DEFAULT_REMOTE_REPOS",
        {"central": f"http://127.0.0.1:{server.server_port}"},
    )
    yield server
    server.shutdown()
    server.server_close()


def quiet(line: str) -> None:
    pass


def test_fetch_once(repository: Repository) -> None:
    """The first fetch fills the cache and says what it does; the second asks the network nothing,
    and nothing half-done stays."""
    lines: list[str] = []
    programs = fetch(lines.append)
    assert sorted(file.name for file in programs.kafka.iterdir()) == [
        "kafka_2.13-4.1.1.jar",
        "slf4j-simple-1.7.36.jar",
    ]
    assert (programs.registry / "runner.jar").exists()
    assert [line.split(",")[0] for line in lines] == [
        "fetching Apache Kafka 4.1.1 (2 files",
        "fetching the Apicurio registry 3.0.9 (1 file",
    ]
    assert not (programs.kafka.parent / "incoming").exists()
    repository.asked.clear()
    lines.clear()
    assert fetch(lines.append) == programs
    assert repository.asked == lines == []


def test_two_fetch_at_once(repository: Repository) -> None:
    """Of two that fetch at the same time, one downloads, the other waits and uses the result."""
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(fetch, [quiet, quiet])
    assert one == other
    assert repository.asked.count("kafka_2.13-4.1.1.jar") == 1


def test_download_that_fails(repository: Repository) -> None:
    """A file that cannot be had is named, with what to check; the part that came is used later."""
    content = repository.files.pop("apicurio-registry-app-3.0.9-all.tar.gz")
    with pytest.raises(LocalError) as raised:
        fetch(quiet)
    message = str(raised.value)
    assert "apicurio-registry-app-3.0.9-all.tar.gz could not be downloaded" in message
    assert "Maven Central" in message
    assert "HTTPS_PROXY" in message
    repository.files["apicurio-registry-app-3.0.9-all.tar.gz"] = content
    repository.asked.clear()
    fetch(quiet)
    assert "kafka_2.13-4.1.1.jar" not in repository.asked


def test_no_network(repository: Repository) -> None:
    """With nothing to connect to, the error is the same kind, not requests'."""
    repository.shutdown()
    repository.server_close()
    with pytest.raises(LocalError, match="could not be downloaded from Maven Central"):
        fetch(quiet)


def test_changed_download(repository: Repository) -> None:
    """A file with another digest is refused, and the cache does not take it."""
    repository.files["slf4j-simple-1.7.36.jar"] = b"something else"
    with pytest.raises(LocalError, match=r"slf4j-simple-1.7.36.jar is not the file .* rm -r"):
        fetch(quiet)
    assert not (artifacts.cache_folder() / artifacts.KAFKA).exists()


def test_changed_cache(repository: Repository) -> None:
    """A cached jar that was changed, or is gone, is named with the folder to delete; after that
    it works again."""
    programs = fetch(quiet)
    jar = programs.kafka / "kafka_2.13-4.1.1.jar"
    jar.write_bytes(b"changed")
    with pytest.raises(LocalError, match=f"kafka_2.13-4.1.1.jar .* rm -r '{programs.kafka}'"):
        fetch(quiet)
    jar.unlink()
    with pytest.raises(LocalError, match=r"kafka_2.13-4.1.1.jar .* is missing"):
        fetch(quiet)
    programs.kafka.joinpath("slf4j-simple-1.7.36.jar").unlink()
    programs.kafka.rmdir()
    assert fetch(quiet) == programs


def test_unwritable_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder that cannot be made is named, with the setting that names another."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("KHABAR_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(LocalError, match="KHABAR_CACHE_DIR"):
        fetch(quiet)
