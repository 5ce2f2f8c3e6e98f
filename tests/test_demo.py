"""The demo, as a newcomer meets it: a real Kafka, the samples, and an end by itself."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from pipelines.demo import _Play
from pipelines.kafka.tail import Tailed
from pipelines.producers import samples
from pipelines.settings import Settings

ROOT = Path(__file__).parents[1]


@contextmanager
def started(tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The demo as a process whose temporary files are in `tmp_path`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines", "demo", *arguments],
        cwd=ROOT,
        env={**psutil.Process().environ(), "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        # Whoever starts the tests in the background of a script has SIGINT ignored, which a process
        # passes on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(process: subprocess.Popen[str], beginning: str) -> list[str]:
    """The lines up to the first that begins so."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(beginning):
            break
    return lines


def left(children: list[psutil.Process]) -> list[psutil.Process]:
    """Those of the processes that still run."""
    return psutil.wait_procs(children, timeout=5)[1]


def test_demo(tmp_path: Path) -> None:
    """It shows articles, copies held back, updates, a revision and dead letters, ends with 0 by
    itself, and leaves neither a process nor a file.
    """
    began = time.monotonic()
    with started(tmp_path, "--rate", "40") as process:
        lines = until(process, "story 1 ")
        first = time.monotonic() - began
        children = psutil.Process(process.pid).children(recursive=True)
        assert any("java" in child.name() for child in children)
        assert process.stdout
        lines += process.stdout.read().split("\n")
        assert process.wait() == 0
    everything = time.monotonic() - began
    print(f"first article after {first:.1f} s, all after {everything:.1f} s")  # noqa: T201
    assert left(children) == []
    assert list(tmp_path.iterdir()) == []

    expected = list(samples.read())
    became = r"(story|held back|update|revision|correction|retraction|dead letter)\b"
    shown = [re.match(became, line) for line in lines]
    verdicts = [found.group(1) for found in shown if found]
    assert verdicts.count("dead letter") == sum(
        sample.expect["verdict"] == "dead-letter" for sample in expected
    )
    assert len(verdicts) == len(expected)
    assert verdicts.count("held back") > 20
    assert {"revision", "update"} <= set(verdicts)
    text = "\n".join(lines)
    assert f"in {len(expected)} · articles" in text
    assert "LOC ⁨" in text
    assert "likeness 0." in text
    assert "told more than once" in text
    assert "invalid-utf-8 ×2" in text
    assert "khabar process YOUR-FILES --out result" in text
    assert "Traceback" not in text
    assert all(line.count("\u2068") == line.count("\u2069") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("at", ["starting", "story 1 "])
def test_interrupted(tmp_path: Path, at: str) -> None:
    """Ctrl-C ends it at any moment, without a traceback, and leaves nothing either."""
    with started(tmp_path) as process:
        lines = until(process, at)
        time.sleep(1.0)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.stdout
        lines += process.stdout.read().split("\n")
        assert process.wait() == 130
    assert children
    assert left(children) == []
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in "\n".join(lines)


def test_copy_is_shown_after_its_story() -> None:
    """Topics are read in turns, yet articles appear in the order in which they were decided."""
    record: dict[str, Any] = {
        "story_id": "s",
        "source": "أفق",
        "title": "عنوان",
        "language": "ar",
        "rule": "exact",
        "entities": [],
        "related": [],
    }
    screen = StringIO()
    play = _Play(None, Settings.of({}), Console(file=screen, soft_wrap=True), 0.0)  # type: ignore[arg-type]
    play._sent_at = [0.0, 0.0]
    for sequence, verdict, topic in ((2, "duplicate", "duplicates"), (1, "new", "articles")):
        origin = {"origin": {"offset": sequence - 1}, "sequence": sequence, "verdict": verdict}
        play._take(Tailed(f"news.{topic}", 0, 0, 0, None, b"", [], {**record, **origin}))
    lines = [line for line in screen.getvalue().split("\n") if line.strip()]
    assert [line.split("  ")[0] for line in lines if line[0] != " "] == ["story 1", "held back"]
    assert "story 1: the same text" in lines[-1]


def test_links_between_stories() -> None:
    """A part of another text opens a story of its own and names that of the other; an update is
    shown under its story, and not as one beside it."""
    record: dict[str, Any] = {"source": "أفق", "title": "عنوان", "language": "ar", "entities": []}
    screen = StringIO()
    play = _Play(None, Settings.of({}), Console(file=screen, soft_wrap=True), 0.0)  # type: ignore[arg-type]
    for verdict, story_id, rule, relation in (
        ("new", "a", "no-match", ""),
        ("part_of", "b", "contained", "part_of"),
        ("update", "a", "news", "update_of"),
    ):
        related = [{"article_id": "a", "relation": relation}] if relation else []
        decision = {"verdict": verdict, "story_id": story_id, "rule": rule, "related": related}
        play._article({**record, **decision, "likeness": 0.7, "news": 71.5})
    lines = [line.strip() for line in screen.getvalue().split("\n")]
    assert [line.split("  ")[0] for line in lines if "عنوان" in line] == [
        "story 1",
        "story 2",
        "update",
    ]
    assert [line for line in lines if "own" in line] == ["part of story 1, which stays its own"]
    assert lines[-2].endswith("story 1: the same story with news in it, likeness 0.70, news 71.5")
