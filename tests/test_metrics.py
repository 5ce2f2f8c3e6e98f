"""Metrics, health and logs without Kafka: what they count, say and refuse; and that the dashboard,
the alerts and the documents speak of what there is.
"""

from __future__ import annotations

import ast
import json
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kafka import TopicPartition
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pipelines import health as health_module
from pipelines import logs
from pipelines.errors import Stopped
from pipelines.health import Health
from pipelines.kafka.transaction import COMMIT_BOUNDS, Job, Totals
from pipelines.local.processes import free_port
from pipelines.logs import Line, as_json, quoted, use_format
from pipelines.metrics import Metrics, registry_of
from pipelines.records import Article, Decision, Envelope, Origin, RawMessage, StageError
from pipelines.run import REGISTERED, ready
from pipelines.serve import served
from pipelines.settings import Settings
from pipelines.stages import encode as encode_module
from pipelines.stages.encode import Topics
from pipelines.transforms import Batch, _BatchCoder, _Encode, _Stage, stage_seconds
from tests.kafka.harness import asked

ROOT = Path(__file__).parent.parent
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/khabar.json").read_text("utf-8"))
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text("utf-8"))
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
# What the value of a label may be.
WORD = re.compile(r"[a-z0-9_-]{1,24}")
LABELS = {
    "topic": re.compile(r"[\w.-]+\.(raw|articles|duplicates|entities|index|dead-letters)"),
    "partition": re.compile(r"\d+"),
    "verdict": WORD,
    "stage": WORD,
    "reason": WORD,
    "le": re.compile(r"[\d.]+|\+Inf"),
    "version": re.compile(r"[\d.]+"),
    "python": re.compile(r"[\w.+]+"),
    "state": re.compile(r"[\w ./-]+"),
    "fingerprint": re.compile(r"[\w./-]+"),
    "profile": re.compile(r"[\w./-]+"),
    "entities": re.compile(r"[\w ./-]*"),
}
IDS = {kind: number for number, kind in enumerate(REGISTERED)} | {"dead-letters": 9}
ORIGIN = Origin("news.raw", 0, 7, 1_700_000_000_000)


def a_job(**values: object) -> Job:
    """A job that has met no Kafka, but has committed something."""
    job = Job(Settings.of(values), IDS)
    facts = Counter({("verdict", "new"): 3, ("dead-letter", "decode", "empty"): 2})
    job.totals = job.totals.after(5, Counter({"news.articles": 3}), facts, 0.07)
    job.turned = time.monotonic()
    job._ends = {TopicPartition("news.raw", 0): 9}
    job._committed = {TopicPartition("news.raw", 0): 5}
    return job


def a_health(job: Job | None = None) -> Health:
    health = Health()
    if job is not None:
        health.reading(job)
    return health


def exposed(health: Health, settings: Settings | None = None) -> str:
    return generate_latest(registry_of(Metrics(settings or Settings.of({}), health))).decode()


def names(text: str) -> set[str]:
    return {s.name for family in text_string_to_metric_families(text) for s in family.samples}


# --- what is counted -----------------------------------------------------------------------


def test_totals_are_whole() -> None:
    """A commit makes new totals of the old ones, which stay as they are; the histogram counts each
    commit once, by the least bound that holds it."""
    before = Totals()
    after = before.after(2, Counter(a=1), Counter({("verdict", "new"): 2}), COMMIT_BOUNDS[3])
    assert before == Totals()
    assert (after.read, after.written["a"], after.facts[("verdict", "new")]) == (2, 1, 2)
    assert [n for n, count in enumerate(after.took) if count] == [3]
    longest = after.after(1, Counter(a=4), Counter(), COMMIT_BOUNDS[-1] + 1)
    assert (longest.read, longest.written["a"]) == (3, 5)
    assert (sum(longest.took), longest.took[-1]) == (2, 1)
    assert longest.seconds == pytest.approx(COMMIT_BOUNDS[3] + COMMIT_BOUNDS[-1] + 1)


def test_what_encode_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each envelope is counted once: by its verdict, or by the stage and reason of its failure,
    that of encode itself included; the counts go with the batch, out of the process too."""
    raw = RawMessage(ORIGIN, None, b"{}")
    fine = Envelope(raw, Article("0" * 32, decision=Decision("update", story_id="1" * 32)))
    held = Envelope(raw, Article("2" * 32, decision=Decision("duplicate", story_id="1" * 32)))
    large = Envelope(raw, Article("3" * 32, raw_body="x" * 5000))
    failed = Envelope(raw).failed("decode", StageError("empty", "nothing in it"))
    monkeypatch.setattr(encode_module, "MAX_BYTES", encode_module._SLACK + 4000)
    (batch,) = _Encode(Topics("news", IDS)).process(Batch([fine, held, large, failed, fine]))
    assert batch.facts == {
        ("verdict", "update"): 2,
        ("verdict", "duplicate"): 1,
        ("dead-letter", "encode", "too-large"): 1,
        ("dead-letter", "decode", "empty"): 1,
    }
    coder = _BatchCoder()
    assert coder.decode(coder.encode(batch)).facts == batch.facts
    assert Batch().facts == {}


def test_stage_seconds_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage's seconds are those that its batches took."""
    ticks = iter([10.0, 10.5, 20.0, 21.0])
    monkeypatch.setattr("pipelines.transforms.perf_counter", lambda: next(ticks))
    stage = _Stage("of-this-test", lambda article: article)
    for _ in range(2):
        stage.process(Batch())
    assert stage_seconds.pop("of-this-test") == 1.5


def test_labels_come_from_closed_sets() -> None:
    """Whatever raises a StageError gives its reason as a word in the code, so nothing that a
    message holds becomes a label; and all labels that are served are words."""
    reasons = []
    for path in (ROOT / "pipelines").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "StageError":
                assert isinstance(node.args[0], ast.Constant), f"{path} line {node.lineno}"
                reasons.append(node.args[0].value)
    assert len(reasons) > 10
    assert all(WORD.fullmatch(reason) for reason in reasons)
    for family in text_string_to_metric_families(exposed(a_health(a_job()))):
        for sample in family.samples:
            for label, value in sample.labels.items():
                assert LABELS[label].fullmatch(value), (label, value)


def test_before_there_is_a_job() -> None:
    """From the start on there are metrics: not ready, and counters at 0, so that the first step of
    each is seen."""
    text = exposed(a_health())
    assert "khabar_ready 0.0" in text
    assert 'khabar_verdicts_total{verdict="retraction"} 0.0' in text
    assert 'khabar_records_written_total{topic="news.dead-letters"} 0.0' in text
    assert names(text) <= names(exposed(a_health(a_job())))


def test_nothing_is_loaded_for_who_serves_nothing() -> None:
    """Without a metrics port a run does not even load what serves them."""
    code = "import pipelines.run, sys; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# --- health --------------------------------------------------------------------------------


def test_not_ready_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ready is a run that reads, has its answers from Kafka and a registry; whatever is missing is
    the answer, and only a loop that stands still is ill."""
    health, job = Health(), a_job()
    assert health.not_ready() == "starting"
    health.starting("Kafka at x\ndoes not answer")
    assert health.not_ready() == "Kafka at x does not answer"
    turned, job.turned = job.turned, 0.0
    health.reading(job)
    assert health.not_ready() == "Kafka at x does not answer"  # nothing has been read yet
    job.turned = turned
    assert (health.not_ready(), health.missing()) == ("", ("", ""))
    health.registry_away = "The registry is away."
    assert health.missing() == ("registry", "The registry is away.")
    assert health.not_ready() == "The registry is away."
    job._asked = turned - health_module.SILENT_S
    assert health.missing()[0] == "kafka"
    assert health.not_ready().startswith(f"Kafka at {job.settings.bootstrap_servers} has not answ")
    assert health.stuck() == ""
    job._asked, health.registry_away = 0.0, ""
    job.turned = turned - health_module.STUCK_S - 1
    assert "stood still" in health.stuck()
    assert health.not_ready() == health.stuck()
    slow = a_job(ner="camel")
    slow.turned = job.turned
    assert a_health(slow).stuck() == ""
    job.stop()
    assert health.not_ready() == "ending"


def test_a_start_is_told_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a start waits for Kafka, the reason why it is not ready is what Kafka's client says."""
    settings = Settings.of({"bootstrap_servers": f"127.0.0.1:{free_port()}"})
    health, stop, said = Health(), threading.Event(), []
    seen = []

    def say(line: str) -> None:
        said.append(line)
        seen.append(health.not_ready())
        stop.set()

    with pytest.raises(Stopped):
        ready(settings, say, stop, health)
    assert seen[0].startswith(f"Kafka at {settings.bootstrap_servers} does not answer")
    assert isinstance(said[0], Line)
    assert said[0].level == "warning"


# --- the server ----------------------------------------------------------------------------


@pytest.fixture
def settings() -> Settings:
    return Settings.of({"metrics_port": free_port()})


def test_what_is_served(settings: Settings) -> None:
    """/healthz and /readyz answer 200 or 503 with one line, /metrics in the form that is asked for,
    and anything else is 404 and told what there is."""
    health = Health()
    with served(settings, health, print):
        assert asked(settings, "/healthz") == (200, "ok\n")
        assert asked(settings, "/readyz") == (503, "not ready: starting\n")
        job = a_job()
        health.reading(job)
        assert asked(settings, "/readyz?verbose") == (200, "ok\n")
        code, text = asked(settings, "/metrics")
        assert code == 200
        assert 'khabar_verdicts_total{verdict="new"} 3.0' in text
        assert asked(settings, "/")[0] == 404
        assert "/readyz" in asked(settings, "/")[1]
        assert b"HTTP/1.0 200" in spoken(settings, b"HEAD /healthz HTTP/1.0\r\n\r\n")
        accept = b"GET /metrics HTTP/1.0\r\nAccept: application/openmetrics-text\r\n\r\n"
        assert spoken(settings, accept).endswith(b"# EOF\n")
    assert asked(settings, "/healthz")[0] == 0


def spoken(settings: Settings, request: bytes) -> bytes:
    with socket.create_connection((settings.metrics_host, settings.metrics_port)) as connection:
        connection.sendall(request)
        parts = iter(lambda: connection.recv(1 << 16), b"")
        return b"".join(parts)


def test_a_client_that_says_nothing_holds_nobody_up(settings: Settings) -> None:
    """Clients that connect and send nothing, or nonsense, do not keep others waiting, and are not
    told of."""
    said: list[str] = []
    address = settings.metrics_host, settings.metrics_port
    with served(settings, Health(), said.append):
        silent = [socket.create_connection(address) for _ in range(20)]
        for connection in silent[:5]:
            connection.sendall(b"\0\xff" * 100)
        assert asked(settings, "/healthz")[0] == 200
        for connection in silent:
            connection.close()
    assert said == []


def test_a_bug_in_the_metrics_is_an_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes wrong while metrics are collected is answered with 500 and its name; the run does
    not notice."""
    monkeypatch.setattr(Metrics, "_totals", lambda self, totals: 1 / 0)
    with served(settings, Health(), print):
        code, text = asked(settings, "/metrics")
        assert (code, text) == (500, "ZeroDivisionError: division by zero\n")
        assert asked(settings, "/healthz")[0] == 200


def test_ipv6_is_served() -> None:
    """A host written as an IPv6 address is served there."""
    settings = Settings.of({"metrics_host": "::1", "metrics_port": free_port()})
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with served(settings, Health(), print):
        assert b"200 OK" in spoken(settings, b"GET /healthz HTTP/1.0\r\n\r\n")


# --- logs ----------------------------------------------------------------------------------


@pytest.fixture
def in_json() -> Iterator[None]:
    use_format("json")
    yield
    use_format("plain")


def test_a_line_as_json() -> None:
    """A line is one JSON object in ASCII: UTC time, level, message, and its fields."""
    told = json.loads(as_json(Line("a\nb \u202e", "warning", lag=3)))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("time"))
    assert told == {"level": "warning", "message": "a\nb \u202e", "lag": 3}
    assert json.loads(as_json("plain"))["level"] == "info"
    assert as_json(Line("a\nb \u202e")).isascii()
    assert "\n" not in as_json(Line("a\nb"))


def test_what_an_exception_quotes() -> None:
    """Words of somebody else are cut short, and what could break a line or turn its direction is
    spelt out."""
    hostile = "<b>\u202e\u2066\x1b[31m\r\n\u2028" + "س" * 1_000_000
    assert quoted(hostile).startswith(r"<b>\u202e\u2066\x1b[31m\r\n\u2028س")
    assert len(quoted(hostile)) < 250
    assert quoted(hostile).isprintable()
    assert quoted("as it is") == "as it is"


@pytest.mark.usefixtures("in_json")
def test_libraries_speak_json_too() -> None:
    """What a library logs, which --debug shows, is an object in the same form."""
    record = logging.LogRecord("kafka.x", logging.ERROR, "f.py", 1, "lost %s\n", ("it",), None)
    told = json.loads(logs._JsonFormatter().format(record))
    assert (told["level"], told["message"], told["logger"]) == ("error", "lost it\n", "kafka.x")


# --- dashboard, alerts, documents ------------------------------------------------------------


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of the dashboard and the alerts, with where it stands."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]
    for rule in RULES:
        yield f"alert {rule['alert']}", rule["expr"]


@pytest.mark.parametrize(("place", "expression"), list(expressions()))
def test_metrics_that_are_asked_for_exist(place: str, expression: str) -> None:
    """Every metric of the dashboard and the alerts, and every label, is one that a run serves."""
    families = text_string_to_metric_families(exposed(a_health(a_job())))
    samples = [sample for family in families for sample in family.samples]
    served_names = {sample.name for sample in samples}
    labels = {label for sample in samples for label in sample.labels} | {"job", "instance"}
    asked_for = set(re.findall(r"\b(?:khabar|process)_[a-z_]+", expression))
    assert asked_for <= served_names, place
    assert asked_for or re.search(r"\bup\b", expression), place
    for group in re.findall(r"\b(?:by|on) ?\(([^)]*)\)", expression):
        assert {label.strip() for label in group.split(",")} <= labels, place
    for chosen in re.findall(r"\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+) ?[=!]", chosen)) <= labels, place


def test_all_metrics_are_documented() -> None:
    """The table of metrics in docs/operations.md names every metric that a run serves of its own,
    and no other."""
    families = text_string_to_metric_families(exposed(a_health(a_job())))
    own = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in families
        if family.name.startswith("khabar")
    }
    section = OPERATIONS.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(khabar_[a-z_]+)", section)) == own


def test_each_alert_has_its_section() -> None:
    """Each alert has a summary and a section in docs/operations.md that says what to do, which its
    runbook names; and each of those sections is of an alert."""
    section = OPERATIONS.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    headings = re.findall(r"^### (\w+)$", section, re.MULTILINE)
    assert headings == [rule["alert"] for rule in RULES]
    for rule in RULES:
        runbook = rule["annotations"]["runbook"]
        assert runbook == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_dashboard_can_be_imported_anywhere() -> None:
    """The dashboard brings no data source of its own: each panel takes the one that is chosen; ids
    are distinct, and no two panels lie over each other."""
    assert (DASHBOARD["uid"], DASHBOARD["schemaVersion"]) == ("khabar", 39)
    (variable,) = [v for v in DASHBOARD["templating"]["list"] if v["type"] == "datasource"]
    assert (variable["name"], variable["query"]) == ("datasource", "prometheus")
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == chosen, panel["title"]
            assert panel["targets"], panel["title"]
            assert all(target["datasource"] == chosen for target in panel["targets"])
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
