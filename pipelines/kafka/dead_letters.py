"""Dead letters, read back: what each says of its failure, which belong together, and the message
that sends one through the pipeline once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pipelines import schemas
from pipelines.kafka.tail import Tailed, tail
from pipelines.records import Headers, Message
from pipelines.settings import Settings

ATTEMPTS = "khabar-attempts"
# Where the dead letter stood that a message was sent back from, as partition:offset.
REPLAY_OF = "khabar-replay-of"
# Where the message stood first: topic, partition:offset, Kafka's time in milliseconds.
ORIGIN_TOPIC, ORIGIN_PLACE, ORIGIN_TIME = (
    "khabar-origin-topic",
    "khabar-origin-place",
    "khabar-origin-timestamp",
)
_OURS = frozenset({ATTEMPTS, REPLAY_OF, ORIGIN_TOPIC, ORIGIN_PLACE, ORIGIN_TIME})
_FIRST_FACT = "khabar-stage"


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter: `stage`, `reason` and `detail` say why; `own` are the message's own headers;
    `attempts` counts how often it was sent back, `replayed_from` is the dead letter that it was
    sent back from last. `failed_at` is where the message stood (topic, partition:offset, Kafka's
    time in milliseconds), `origin` where it stood the first time. `kept` is false when its value
    was too large to be kept. `version` is that of the Khabar that refused it.
    """

    message: Tailed
    stage: str
    reason: str
    detail: str
    own: Headers
    attempts: int
    failed_at: tuple[str, str, str]
    origin: tuple[str, str, str]
    replayed_from: str
    kept: bool
    version: str

    @property
    def place(self) -> str:
        """Its partition and offset on the dead letters topic."""
        return f"{self.message.partition}:{self.message.offset}"


@dataclass
class Group:
    """Dead letters of one stage and reason: `first` and `last` are Kafka's times of them, in
    milliseconds; `again` are those that were sent back before and failed again.
    """

    stage: str
    reason: str
    count: int
    again: int
    first: int
    last: int
    example: DeadLetter


@dataclass(frozen=True)
class Choice:
    """Which dead letters are meant: those of all that is given; times are Kafka's, in milliseconds,
    `until` excluded.
    """

    stage: str = ""
    reason: str = ""
    since: int = 0
    until: int | None = None
    places: frozenset[str] = frozenset()

    def takes(self, letter: DeadLetter) -> bool:
        time = letter.message.timestamp
        return (
            self.stage in ("", letter.stage)
            and self.reason in ("", letter.reason)
            and self.since <= time
            and (self.until is None or time < self.until)
            and (not self.places or letter.place in self.places)
        )


def read(
    settings: Settings, choice: Choice, stopped: Callable[[], bool] = lambda: False
) -> list[DeadLetter]:
    """The chosen dead letters that are the last word on their message, oldest first: of one that
    was sent back and failed again, only the later counts.

    Raises UsageError when the topic does not exist, Outage when Kafka is away.
    """
    topic = settings.topic(schemas.DEAD_LETTERS)
    letters = []
    later = set[str]()
    for message in tail(settings, [topic], until_caught_up=True, stopped=stopped):
        letter = parsed(message)
        later.add(letter.replayed_from)
        if choice.takes(letter):
            letters.append(letter)
    found = [letter for letter in letters if letter.place not in later]
    return sorted(found, key=lambda letter: letter.message.timestamp)


def parsed(message: Tailed) -> DeadLetter:
    """What a message of the topic says. Its own headers stand before ours, whatever their names."""
    names = [name for name, _ in message.headers]
    at = len(names) - 1 - names[::-1].index(_FIRST_FACT) if _FIRST_FACT in names else len(names)
    own = tuple(message.headers[:at])
    facts = {name: _text(value) for name, value in message.headers[at:]}
    before = {name: _text(value) for name, value in own if name in _OURS}
    place = f"{facts.get('khabar-partition', '')}:{facts.get('khabar-offset', '')}"
    origin = failed_at = (facts.get("khabar-topic", ""), place, facts.get("khabar-timestamp", ""))
    if ORIGIN_TOPIC in before:
        origin = (
            before[ORIGIN_TOPIC],
            before.get(ORIGIN_PLACE, ""),
            before.get(ORIGIN_TIME, ""),
        )
    attempts = before.get(ATTEMPTS, "")
    return DeadLetter(
        message,
        facts.get(_FIRST_FACT, "?"),
        facts.get("khabar-reason", "?"),
        facts.get("khabar-detail", ""),
        own,
        int(attempts) if attempts.isdecimal() and len(attempts) < 9 else 0,
        failed_at,
        origin,
        before.get(REPLAY_OF, ""),
        "khabar-value-bytes" not in facts,
        facts.get("khabar-version", ""),
    )


def groups(letters: Iterable[DeadLetter]) -> list[Group]:
    """The letters by stage and reason, the largest group first, each with its newest as example."""
    found: dict[tuple[str, str], Group] = {}
    for letter in letters:
        time = letter.message.timestamp
        group = found.setdefault(
            (letter.stage, letter.reason),
            Group(letter.stage, letter.reason, 0, 0, time, time, letter),
        )
        group.count += 1
        group.again += letter.attempts > 0
        group.first = min(group.first, time)
        if time >= group.last:
            group.last, group.example = time, letter
    return sorted(found.values(), key=lambda group: (-group.count, group.stage, group.reason))


def replayed(letters: Iterable[DeadLetter], topic: str) -> Iterator[Message]:
    """The messages as they came in, for this topic, with headers that say where they first stood,
    and how often they were sent back.
    """
    for letter in letters:
        own = [(name, value) for name, value in letter.own if name not in _OURS]
        ours = {
            ATTEMPTS: str(letter.attempts + 1),
            REPLAY_OF: letter.place,
            **dict(zip((ORIGIN_TOPIC, ORIGIN_PLACE, ORIGIN_TIME), letter.origin, strict=True)),
        }
        yield Message(
            topic,
            letter.message.key,
            letter.message.value,
            (*own, *((name, value.encode()) for name, value in ours.items())),
        )


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
