"""The command line: help, exit codes, and errors of one paragraph."""

import json
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from pipelines import cli, demo, doctor, process
from pipelines.doctor import Finding
from pipelines.errors import Outage, Superseded, UsageError
from pipelines.kafka import tail
from pipelines.kafka.tail import Tailed
from pipelines.local import LocalError
from pipelines.settings import Settings

# Nothing listens on port 1.
NOWHERE = {"bootstrap_servers": "127.0.0.1:1", "registry_url": "http://user:geheim@127.0.0.1:1/x"}

ON_FLINK = ("--out", "x", "--order=published", "--runner=FlinkRunner")

Khabar = Callable[..., tuple[int, str, str]]


@pytest.fixture
def khabar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Khabar:
    """Runs a command line in this process; returns its exit code, output and error output."""
    for name in os.environ:
        if name.startswith("KHABAR_") and name != "KHABAR_CACHE_DIR":
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # main changes it

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["khabar", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*names, name)
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)


COMMANDS = list(commands(cli.cli))


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def one_paragraph(text: str) -> bool:
    return bool(text.strip()) and "\n\n" not in text.strip() and "Traceback" not in text


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(khabar: Khabar, command: tuple[str, ...]) -> None:
    """Every command's help says what it does, gives an example, and tells the exit codes."""
    code, out, _ = khabar(*command, "--help")
    assert code == 0
    assert re.search(rf"^  (\w.* \| )?khabar {command[0]}", out, re.MULTILINE), out
    assert "Exit codes: 0 done" in out


def test_commands() -> None:
    """The commands are those that were promised; a new one comes with its line here."""
    assert {name for name, *_ in COMMANDS} == {
        "demo",
        "up",
        "topics",
        "schemas",
        "produce",
        "run",
        "process",
        "tail",
        "export",
        "dead-letters",
        "replay",
        "forget",
        "explain",
        "story",
        "index",
        "stop",
        "doctor",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("process", "no-such-file.jsonl", "--out", "x"), "no-such-file.jsonl does not exist"),
        (("demo", "no-such-file.jsonl"), "no-such-file.jsonl does not exist"),
        (("process", "x.jsonl"), "--out"),
        (("demo", "--rate", "0"), "--rate"),
        (("process", "samples", "--out", "x", "--no-such-option=1"), "--no-such-option"),
        (("process", "samples", "--out", "x", "--ordr=published"), "--order"),
        (("process", "samples", "--out", "x", "--runner=SparkRunner"), "SparkRunner"),
        (("process", "samples", "--out", "x", "--runner=FlinkRunner"), "--order=published"),
        (("process", *ON_FLINK, "samples"), "--job_endpoint"),
        (("process", *ON_FLINK, "--job_endpoint=127.0.0.1:1"), "Name the files"),
        (("process", *ON_FLINK, "-", "--job_endpoint=127.0.0.1:1"), "into a file"),
        (("run", "--no-such-option=1"), "--no-such-option"),
        (("run", "--runner=SparkRunner"), "SparkRunner"),
        (("run", "--runner=FlinkRunner"), "--job_endpoint"),
        (("stop",), "--job-endpoint"),
        (("topics", "--window-days", "0"), "--window-days"),
        (("run", "--outlet-zones", "no-such-file"), "no-such-file cannot be read"),
        (("demo", "--outlet-zones", "no-such-file"), "no-such-file cannot be read"),
        (("index", "rebuild", "--outlet-zones", "no-such-file"), "no-such-file cannot be read"),
        (("tail", "articles", "--kafka-config", "no-such-file"), "no-such-file"),
        (("explain",), "ARTICLE_ID|URL"),
        (("explain", "abc"), "32 hex digits"),
        (("story", "https://outlet.example/"), "32 hex digits"),
        (("replay",), "--all"),
        (("replay", "--all", "--since", "yesterday"), "2h or 7d"),
        (("tail", "duplicates", "--entity", "غزة"), "names no entities"),
        (("export", "raw", "--out", "x"), "raw"),
        (("forget", "a" * 32), "--reason"),
        (("no-such-command",), "no-such-command"),
    ],
)
def test_wrong_use(khabar: Khabar, arguments: tuple[str, ...], said: str) -> None:
    """What was typed wrongly is named, with exit code 2 and no traceback."""
    code, _, err = khabar(*arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_unreadable_file(khabar: Khabar, tmp_path: Path) -> None:
    """A file of no known kind is named with what to do about it, before anything is started."""
    (tmp_path / "news.pdf").write_bytes(b"%PDF")
    code, _, err = khabar("demo", tmp_path / "news.pdf")
    assert code == 2
    assert "news.pdf" in err
    assert "jsonl" in err
    assert one_paragraph(err)


def test_registry_away(khabar: Khabar) -> None:
    """A registry that is away is exit code 75, and its password is not shown."""
    code, out, err = khabar("schemas", "--registry-url", NOWHERE["registry_url"])
    assert code == 75
    assert one_paragraph(err)
    assert "127.0.0.1:1" in err
    assert "geheim" not in out + err


def test_kafka_away(khabar: Khabar) -> None:
    """A Kafka that is away is exit code 75, in one paragraph that says how to start one."""
    code, _, err = khabar("topics", "--bootstrap-servers", "127.0.0.1:1")
    assert code == 75
    assert one_paragraph(err)
    assert "khabar up" in err


def test_no_secret_of_a_bad_settings_file(khabar: Khabar, tmp_path: Path) -> None:
    """A line of the Kafka settings that is not understood is named by its number alone."""
    (tmp_path / "kafka.properties").write_text("sasl_plain_password geheim\n")
    code, out, err = khabar("topics", "--kafka-config", tmp_path / "kafka.properties")
    assert code == 2
    assert "Line 1" in err
    assert "geheim" not in out + err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("Do this."), 2),
        (Outage("It is away."), 75),
        (Superseded("Another one took over."), 0),
        (RuntimeError("first\nlast"), 1),
    ],
)
def test_exit_codes(
    khabar: Khabar, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    """Each kind of end has its exit code and one paragraph; a bug says how to see more of it."""
    monkeypatch.setattr(process, "process", raising(error))
    monkeypatch.setattr("pipelines.producers.files.find", lambda paths: [])
    given, _, err = khabar("process", "x", "--out", "x")
    assert given == code
    assert one_paragraph(err)
    assert str(error).splitlines()[-1] in err
    if code == 1:
        assert "--debug behind `khabar`" in err


def test_debug(khabar: Khabar, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback comes with --debug."""
    monkeypatch.setattr(doctor, "examine", raising(RuntimeError("broken")))
    code, _, err = khabar("--debug", "doctor")
    assert code == 1
    assert "Traceback" in err


def test_services_do_not_start(khabar: Khabar, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded Kafka that cannot be had is a paragraph and exit code 2."""
    monkeypatch.setattr(demo, "fetch", raising(LocalError("Kafka could not be downloaded.")))
    code, _, err = khabar("demo")
    assert code == 2
    assert one_paragraph(err)
    assert "could not be downloaded" in err


def test_setting_from_environment(khabar: Khabar, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting comes from its flag, then its variable, then its default."""
    seen: list[Settings] = []
    monkeypatch.setattr(doctor, "examine", lambda settings: seen.append(settings) or [])
    monkeypatch.setenv("KHABAR_GROUP", "of-environment")
    khabar("doctor")
    khabar("doctor", "--group", "of-flag")
    monkeypatch.delenv("KHABAR_GROUP")
    khabar("doctor")
    assert [settings.group for settings in seen] == ["of-environment", "of-flag", "khabar"]


def test_doctor_tells(khabar: Khabar, monkeypatch: pytest.MonkeyPatch) -> None:
    """doctor shows every finding, the advice where one is needed, and then exits with 2."""
    findings = [Finding("this is well", True, "unneeded"), Finding("that is not", False, "do so")]
    monkeypatch.setattr(doctor, "examine", lambda settings: iter(findings))
    code, out, _ = khabar("doctor")
    assert code == 2
    assert out.split("\n")[:3] == ["ok  this is well", "no  that is not", "    do so"]
    assert "unneeded" not in out
    monkeypatch.setattr(doctor, "examine", lambda settings: iter(findings[:1]))
    assert khabar("doctor")[0] == 0


def test_doctor_when_all_is_down() -> None:
    """Without Kafka and registry doctor still finds the rest well, and shows no password."""
    findings = list(doctor.examine(Settings.of(NOWHERE)))
    bad = [finding.what for finding in findings if not finding.fine]
    assert bad == ["Kafka at 127.0.0.1:1", "schema registry at 127.0.0.1:1"]
    assert all(finding.advice for finding in findings if not finding.fine)
    assert "geheim" not in str(findings)
    shown = "\n".join(finding.what for finding in findings)
    for part in ("Python 3.", "camel-tools", "crc32c", "Java", "sample messages"):
        assert part in shown


def test_doctor_misses_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that cannot be imported is named, and nothing that needs it is tried."""
    monkeypatch.setitem(sys.modules, "crc32c", None)
    findings = list(doctor.examine(Settings.of(NOWHERE)))
    assert [finding.what for finding in findings if not finding.fine] == ["package crc32c"]


def test_tail_for_programs(khabar: Khabar, monkeypatch: pytest.MonkeyPatch) -> None:
    """tail --json writes one object a line, in Arabic letters; without it, lines for people."""
    message = Tailed("news.raw", 0, 3, 5, b"k", '{"title": "خبر"}'.encode(), [], None)
    monkeypatch.setattr(tail, "tail", lambda settings, topics, **how: iter([message, message]))
    code, out, _ = khabar("tail", "raw", "--json")
    assert code == 0
    assert [json.loads(line)["offset"] for line in out.splitlines()] == [3, 3]
    assert "خبر" in out
    code, out, _ = khabar("tail", "raw")
    assert out.startswith("⁨خبر⁩\n")


def test_a_metrics_port_in_use(khabar: Khabar) -> None:
    """A port that another has, or a host that this machine is not, is exit code 2, before anything
    is asked for, with what to type."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _, err = khabar("run", "--metrics-port", port)
    assert code == 2
    assert one_paragraph(err)
    assert f"port {port}" in err
    assert "--metrics-port" in err
    code, _, err = khabar("run", "--metrics-port=9464", "--metrics-host=192.0.2.1")
    assert code == 2
    assert "--metrics-host" in err


def test_ends_are_told_as_json(khabar: Khabar) -> None:
    """With --log-format=json what ends a command is a JSON object with its exit code, whatever
    comes first on the command line, and a wrong option too."""
    for arguments, said in (
        (("run", "--window-days=0", "--log-format=json"), "--window-days"),
        (("run", "--log-format=json", "--outlet-zones=no-such-file"), "no-such-file"),
        (("run", "--log-format=json", "--no-such-option=1"), "--no-such-option"),
    ):
        code, out, err = khabar(*arguments)
        told = json.loads(err)
        assert (code, out) == (2, "")
        assert (told["level"], told["exit_code"]) == ("error", 2)
        assert said in told["message"]
    code, _, err = khabar("run", "--window-days=0")
    assert code == 2
    assert not err.startswith("{"), "the next command has its own form"


def test_a_bug_as_json(khabar: Khabar, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is one object too; with --debug its traceback is a field of it. What the exception
    quotes is short and harmless in both forms."""

    def broken(*arguments: object, **values: object) -> None:
        raise ValueError("\u202eحادث <script>" * 100_000)

    monkeypatch.setattr("pipelines.run.run", broken)
    _, _, err = khabar("run", "--log-format=json")
    assert json.loads(err)["exit_code"] == 1
    assert len(err) < 1000
    _, _, err = khabar("run")
    assert len(err) < 1000
    assert "\u202e" not in err
    monkeypatch.setattr("pipelines.run.run", lambda *a, **k: 1 / 0)
    _, _, err = khabar("--debug", "run", "--log-format=json")
    assert "Traceback" in json.loads(err)["traceback"]
