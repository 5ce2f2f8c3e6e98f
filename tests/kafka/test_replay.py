"""Dead letters on a real Kafka: told in groups, sent back after a fix, never in a loop unseen."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from pipelines import schemas
from pipelines.kafka.dead_letters import Choice, parsed
from pipelines.kafka.dead_letters import read as read_letters
from pipelines.producers.produce import send as send_messages
from pipelines.records import Message
from pipelines.settings import Settings
from tests.kafka.harness import caught_up, command, read, send

LONG = "قال السكان إن سيولا جرفت جسر الوادي القديم شرق المكلا وقطعت الطريق إلى الميناء. " * 20
EVIL = "<script>alert(1)</script>\x1b[2J\u202e" + "ط" * 3000


def article(number: int, body: str = LONG) -> bytes:
    fields = {"url": f"https://wadi.example/{number}", "title": f"عنوان {number}", "body": body}
    return json.dumps(fields, ensure_ascii=False).encode()


def strict(settings: Settings) -> Settings:
    """The settings by which long messages are refused."""
    return Settings.of({**vars(settings), "max_message_bytes": 1024})


def attempts(settings: Settings) -> list[int]:
    return sorted(parsed(each).attempts for each in read(settings, schemas.DEAD_LETTERS))


def test_sent_back_after_a_fix(kafka: Settings) -> None:
    """What was too large is published once the limit is raised, with its own key and headers, and
    with headers that say where it first stood; sent back twice, it yields a duplicate."""
    own = (("trace", b"\xff\x00"), ("khabar-stage", b"a message's own"), ("empty", None))
    raw = kafka.topic(schemas.RAW)
    send_messages([Message(raw, b"a key", article(1), own), Message(raw, None, article(2, "قصير"))],
        kafka)  # fmt: skip
    caught_up(strict(kafka))
    (letter,) = read(kafka, schemas.DEAD_LETTERS)

    done = command(kafka, "replay", "--reason", "too-large")
    assert done.returncode == 0, done.stderr
    assert "sent 1 of 1 dead letters back" in done.stderr
    again = read(kafka, schemas.RAW)[-1]
    assert (again.key, again.value) == (b"a key", article(1))
    assert again.headers[:3] == [(name, value or b"") for name, value in own]
    assert dict(again.headers[3:]) == {
        "khabar-attempts": b"1",
        "khabar-replay-of": f"{letter.partition}:{letter.offset}".encode(),
        "khabar-origin-topic": raw.encode(),
        "khabar-origin-place": b"0:0",
        "khabar-origin-timestamp": str(read(kafka, schemas.RAW)[0].timestamp).encode(),
    }
    caught_up(kafka)
    urls = [each.record["url"] for each in read(kafka, schemas.ARTICLES) if each.record]
    assert sorted(urls) == ["https://wadi.example/1", "https://wadi.example/2"]

    assert command(kafka, "replay", "--all").returncode == 0
    caught_up(kafka)
    assert len(read(kafka, schemas.ARTICLES)) == 2
    (duplicate,) = read(kafka, schemas.DUPLICATES)
    assert duplicate.record
    assert (duplicate.record["rule"], duplicate.record["url"]) == ("same-content", urls[-1])
    assert len(read(kafka, schemas.DEAD_LETTERS)) == 1


@pytest.mark.slow
def test_what_fails_again_is_seen(kafka: Settings) -> None:
    """Each time it fails it is a dead letter that counts; of all those only the last is sent, so
    that they do not multiply; after three it is left, and the command says so."""
    send([b"no JSON", b"nor this"], kafka)
    caught_up(kafka)
    for number in range(1, 4):
        done = command(kafka, "replay", "--stage", "decode")
        assert "sent 2 of 2 dead letters back" in done.stderr
        caught_up(kafka)
        assert attempts(kafka) == sorted([*range(number + 1)] * 2)
    assert len(read_letters(kafka, Choice())) == 2
    done = command(kafka, "replay", "--stage", "decode")
    assert "sent 0 of 2 dead letters back" in done.stderr
    assert "2 were sent back 3 times before" in done.stderr
    origins = {parsed(each).origin[1] for each in read(kafka, schemas.DEAD_LETTERS)}
    assert origins == {"0:0", "0:1"}

    done = command(kafka, "dead-letters")
    assert "2 × " in done.stdout
    assert "2 of them sent back before" in done.stdout


def test_groups(kafka: Settings) -> None:
    """One group for each stage and reason, the largest first, with an example that harms nobody."""
    send([EVIL.encode(), EVIL.encode(), b"{}", b"\xff", article(1, "قصير")], kafka)
    caught_up(kafka)
    done = command(kafka, "dead-letters", "--json")
    groups: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["reason"], each["count"]) for each in groups] == [
        ("invalid-json", 2),
        ("empty", 1),
        ("invalid-utf-8", 1),
    ]
    assert groups[0]["example"]["value"] == EVIL
    for shown in (done.stdout, command(kafka, "dead-letters").stdout):
        assert not {"\x1b", "\u202e"} & set(shown)
    lines = command(kafka, "dead-letters").stdout.splitlines()
    assert max(map(len, lines)) <= 120
    assert "dead letters: 1;" in command(kafka, "dead-letters", "--reason", "empty").stderr


@pytest.mark.slow
def test_choices(kafka: Settings) -> None:
    """Stage, reason, time and place each leave out what they do not name; --dry-run sends none."""
    send([b"no JSON", b"{}"], kafka)
    caught_up(kafka)
    before = len(read(kafka, schemas.RAW))
    for arguments, count in (
        (["--reason", "empty"], 1),
        (["--stage", "encode"], 0),
        (["--place", "0:0"], 1),
        (["--place", "0:0", "--place", "7:1"], 1),
        (["--since", "1h"], 2),
        (["--until", "1h"], 0),
        (["--all"], 2),
    ):
        done = command(kafka, "replay", "--dry-run", *arguments)
        assert f"{count} would be sent back" in done.stderr, arguments
    assert len(read(kafka, schemas.RAW)) == before


def test_a_value_that_was_not_kept(kafka: Settings) -> None:
    """A dead letter without its value cannot be sent back: it is named, and stays."""
    letter = Message(
        kafka.topic(schemas.DEAD_LETTERS),
        b"k",
        None,
        (("khabar-stage", b"decode"), ("khabar-reason", b"too-large"),
         ("khabar-value-bytes", b"17000000")),
    )  # fmt: skip
    send_messages([letter], kafka)
    done = command(kafka, "replay", "--all")
    assert "sent 0 of 1" in done.stderr
    assert "too large to be kept" in done.stderr


def test_a_null_value_comes_back_as_it_was(kafka: Settings) -> None:
    """A message without key and value is sent back and refused again for the same reason."""
    send([None], kafka)
    caught_up(kafka)
    assert command(kafka, "replay", "--all").returncode == 0
    caught_up(kafka)
    found = Counter(parsed(each).reason for each in read(kafka, schemas.DEAD_LETTERS))
    assert found == {"null-value": 2}
