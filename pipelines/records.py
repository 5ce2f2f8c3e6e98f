"""What travels through the graph: the envelope, the article as the stages complete it, and the
messages that leave. Plain frozen values; no behaviour beyond construction.
"""

from __future__ import annotations

import copyreg
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any, Literal, TypeVar

from pipelines.offsets import OffsetMap

Headers = tuple[tuple[str, bytes | None], ...]
Verdict = Literal[
    "new", "update", "revision", "correction", "retraction", "part_of", "duplicate", "removal",
]  # fmt: skip
EntityType = Literal["PER", "LOC", "ORG", "MISC"]
RawField = Literal["raw_title", "raw_body"]
# What the schema's doc of furniture.kind explains.
FurnitureKind = Literal[
    "title-repeat", "byline", "dateline", "agency", "outlet", "source", "desk", "contributors",
    "date", "caption", "photo-credit", "roundup", "breadcrumb", "share", "follow", "counter",
    "contact", "more", "link-back", "related", "tags", "copyright", "end-mark", "markup",
]  # fmt: skip


class StageError(Exception):
    """The record is bad: it goes to the dead letters, and the stream goes on.

    `reason` is a short stable word for programs (`too-large`), `detail` a sentence for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


Record = TypeVar("Record")


def changed(record: Record, **values: Any) -> Record:
    """A copy of one of these records with other values; `dataclasses.replace` takes twice as
    long, and does it for each article in each stage.
    """
    kind: Any = type(record)
    values_of, setters = _slots(kind)
    copy: Record = object.__new__(kind)
    for set_value, value in zip(setters.values(), values_of(record), strict=True):
        set_value(copy, value)
    for name, value in values.items():
        setters[name](copy, value)
    return copy


@cache
def _slots(kind: type) -> tuple[Callable[[Any], tuple[Any, ...]], dict[str, Callable[..., None]]]:
    """What reads all of a record's values at once, and what sets each; all of them have slots."""
    names: tuple[str, ...] = kind.__slots__  # type: ignore[attr-defined]  # which `type` has not
    return attrgetter(*names), {name: getattr(kind, name).__set__ for name in names}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message stood: `timestamp` is Kafka's, in milliseconds since 1970 UTC."""

    topic: str
    partition: int
    offset: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as it came in, untouched."""

    origin: Origin
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Message:
    """A message to be written."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message became a dead letter, and in which stage."""

    stage: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Time:
    """A time read from text: `utc` in milliseconds since 1970 UTC, None when it was not understood.

    `zone` says where the offset came from: `given` in the text, the `outlet`'s setting, or `none`
    (then taken as UTC). `confidence` is between 0 and 1. `offset` is that of the clocks where it
    was written, in minutes east of UTC; `relative` says that the text counts from another time.
    """

    utc: int | None = None
    text: str = ""
    zone: Literal["given", "outlet", "none"] = "none"
    confidence: float = 0.0
    offset: int = 0
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of display text that knows where each of its characters stood in the raw text."""

    text: str = ""
    field: RawField = "raw_body"
    offsets: OffsetMap = dataclasses.field(default_factory=OffsetMap.empty)  # `field` is taken here


@dataclass(frozen=True, slots=True)
class Furniture:
    """A raw span that is not part of the article's text: `end` is exclusive, in code points."""

    kind: FurnitureKind
    field: RawField
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Display:
    """The display layer, cut into its parts; title, standfirst and body do not overlap."""

    title: Passage = field(default_factory=Passage)
    standfirst: Passage = field(default_factory=Passage)
    body: Passage = field(default_factory=Passage)
    furniture: tuple[Furniture, ...] = ()
    outlet: str = ""
    byline: str = ""
    agency: str = ""
    dateline: str = ""
    captions: tuple[str, ...] = ()
    cues: tuple[str, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """The match layer of each part; the offset maps lead back into the display text."""

    title: str = ""
    standfirst: str = ""
    body: str = ""
    title_offsets: OffsetMap = field(default_factory=OffsetMap.empty)
    standfirst_offsets: OffsetMap = field(default_factory=OffsetMap.empty)
    body_offsets: OffsetMap = field(default_factory=OffsetMap.empty)
    content_hash: str = ""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the index compares, made by `stages/fingerprint.py`: `keys` are 64-bit hashes
    (little-endian, 8 bytes each, ascending), `signature` is what is kept of a text. `text` holds
    its words in order, `distinct` each of them once, `title` those of the title, 12 bytes a word.
    All of them are empty for a text that has too few `words`. `exact` is 64 bits that an exact copy
    has as well, empty for next to no text.
    """

    keys: bytes = b""
    signature: bytes = b""
    words: int = 0
    text: bytes = b""
    distinct: bytes = b""
    title: bytes = b""
    exact: bytes = b""


@dataclass(frozen=True, slots=True)
class Related:
    """Another article that this one has to do with, and how."""

    article_id: str
    relation: str
    jaccard: float
    containment: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What the writer decided of an article, and why. `sequence` is the writer's order.

    Scores are between 0 and 1, but for `news`: the most nats of words that the story had not used,
    among any 21 words in a row. `place` is what the text became in its story's memory, one of
    `stages.index`'s NOWHERE, LEADER, LONGER and TOLD.
    """

    verdict: Verdict = "new"
    story_id: str = ""
    revision: int = 1
    sequence: int = 0
    rule: str = ""
    matched: str = ""
    jaccard: float = 0.0
    containment: float = 0.0
    likeness: float = 0.0
    novelty: float = 1.0
    news: float = 0.0
    supersedes: int | None = None
    related: tuple[Related, ...] = ()
    event_time: int = 0
    place: int = 0


@dataclass(frozen=True, slots=True)
class Mention:
    """`text` is exactly `raw[start:end]` of `field`, in code points."""

    field: RawField
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class DateMention:
    """A date in the running text; `text` is exactly `raw[start:end]` of `field`, in code points.

    `date` is that day, or month, in ISO 8601 and the Gregorian calendar; `calendar` is the one that
    the text uses. `relative` says that it counts from the article's own time.
    """

    field: RawField
    start: int
    end: int
    text: str
    date: str
    calendar: Literal["gregorian", "hijri"] = "gregorian"
    relative: bool = False
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity of an article with all its mentions."""

    entity_id: str
    type: EntityType
    name: str
    aliases: tuple[str, ...]
    mentions: tuple[Mention, ...]
    salience: float
    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """Why an article is to be deleted, and what of it readers have: the newest `revision` (0: none
    that whoever asks knows of) in `story_id`, and its entities with their types.
    """

    reason: str
    story_id: str = ""
    revision: int = 0
    entities: tuple[tuple[str, EntityType], ...] = ()


@dataclass(frozen=True, slots=True)
class Article:
    """The record so far. Decode fills the first block; each later stage fills its own part."""

    article_id: str
    id: str = ""
    url: str = ""
    source: str = ""
    raw_title: str = ""
    raw_body: str = ""
    author: str = ""
    published: Time = field(default_factory=Time)
    fetched: Time = field(default_factory=Time)
    ingested_at: int = 0
    language: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    removal: Removal | None = None  # then all text is empty, and only Decide and Encode act

    display: Display = field(default_factory=Display)
    match: Match = field(default_factory=Match)
    dates: tuple[DateMention, ...] = ()
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    decision: Decision = field(default_factory=Decision)
    entry: bytes = b""  # the decision as `news.index` keeps it
    entities: tuple[Entity, ...] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """A raw message on its way: with the article so far, or with the failure that stopped it."""

    raw: RawMessage
    article: Article | None = None
    failure: Failure | None = None

    def with_article(self, article: Article) -> Envelope:
        return changed(self, article=article)

    def failed(self, stage: str, error: StageError) -> Envelope:
        return Envelope(self.raw, None, Failure(stage, error.reason, error.detail))


def without_offsets(article: Article) -> Article:
    """The article without its offset maps: they are two fifths of its bytes on the way to another
    process, and no stage behind Entities reads them.
    """
    none, display = OffsetMap.empty(), article.display
    return changed(
        article,
        display=changed(
            display,
            title=changed(display.title, offsets=none),
            standfirst=changed(display.standfirst, offsets=none),
            body=changed(display.body, offsets=none),
        ),
        match=changed(
            article.match, title_offsets=none, standfirst_offsets=none, body_offsets=none
        ),
    )


def _by_values(record: Any) -> tuple[type, tuple[Any, ...]]:
    kind: Any = type(record)
    values_of, _ = _slots(kind)
    return kind, values_of(record)


# What dataclasses do by themselves asks for the name of each field, both ways, and takes twice as
# long: workers give articles to each other.
for _kind in (
    OffsetMap, Origin, RawMessage, Message, Failure, Time, Passage, Furniture, Display, Match,
    Fingerprint, Related, Decision, Mention, DateMention, Entity, Removal, Article, Envelope,
):  # fmt: skip
    copyreg.pickle(_kind, _by_values)
