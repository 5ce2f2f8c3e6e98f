"""`khabar explain` and `khabar story`: what was decided of an article and why, and a story's life,
from the records that readers see and, for the text of what was held back, from the raw topic.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate, groupby
from typing import Any

from pipelines import schemas
from pipelines.errors import UsageError
from pipelines.kafka.find import Finder
from pipelines.kafka.tail import Tailed
from pipelines.records import Article, Origin, RawMessage, StageError, Time
from pipelines.show import is_removed
from pipelines.stages import encode
from pipelines.stages.arabic.layers import foreign_match_text, match_text
from pipelines.stages.clean import clean
from pipelines.stages.decide import HOUR_MS, published_time
from pipelines.stages.decode import article_id, decode
from pipelines.stages.likeness import SENTENCE
from pipelines.stages.normalize import normalize
from pipelines.stages.urls import canonical_url
from pipelines.stages.weights import RARE, UNITS, vocabulary

_ARTICLE_ID = re.compile(r"[0-9a-fA-F]{32}")
_WORD = re.compile(r"\S+")
# What a record holds of an article's own words.
_TEXTS = (
    "title", "standfirst", "body", "raw_title", "raw_body", "author", "byline", "dateline",
    "captions", "cues", "published_at_text", "furniture", "dates", "entities", "extra", "url",
)  # fmt: skip
# What an article's and a duplicate's record have, and a foreign one has not.
_FIELDS = frozenset(
    {
        "article_id",
        "revision",
        "content_hash",
        "story_id",
        "sequence",
        "verdict",
        "rule",
        "matched",
        "ingested_at",
        "profile",
        "versions",
        "origin",
    }
)


@dataclass(frozen=True)
class Stretch:
    """A stretch of display text; `new` when the other text does not have its words."""

    text: str
    new: bool


@dataclass(frozen=True)
class Marked:
    """A text held beside another: the stretches of `title`, `standfirst` and `body`, which joined
    are the display text, and how many `words` of the match layer are `new`. `news` is the text
    where most of what is new stands together, below the title.
    """

    parts: Mapping[str, list[Stretch]]
    words: int
    new: int
    news: str


@dataclass(frozen=True)
class Word:
    """A word of the match layer, and the span of the display text that it stands for."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Part:
    """The title, standfirst or body of an article: its display text and the words in it."""

    name: str
    text: str
    words: list[Word]


@dataclass(frozen=True)
class Text:
    """An article's text as it can be had today: it has `parts`, or `note` says why there is none;
    with both, `note` says what to mind.
    """

    parts: tuple[Part, ...] | None
    note: str = ""


@dataclass(frozen=True)
class Explanation:
    """What is known of an article. `decisions` come newest first; `decided` is the one explained:
    the newest that did more than find the article unchanged. `leader`, the story's first article,
    is there when the text of `against` is not: then the two that are `marked` are those. `hours`
    lie between the publication of the two. `news` is the text of an update beside all that its
    story had told.
    """

    decisions: list[Tailed]
    decided: Tailed
    text: Text
    against: Tailed | None = None
    against_text: Text | None = None
    leader: Tailed | None = None
    marked: Marked | None = None
    against_marked: Marked | None = None
    hours: float | None = None
    news: Marked | None = None


@dataclass(frozen=True)
class Story:
    """A story's life: its decisions in order, and by their sequence what the published ones said
    that none published before them had.
    """

    story_id: str
    decisions: list[Tailed]
    news: Mapping[int, Marked]


def identity(given: str) -> str:
    """The article_id that a person means with an id or a web address.

    Raises UsageError when it is neither, or an address that names no article.
    """
    text = given.strip()
    if _ARTICLE_ID.fullmatch(text):
        return text.lower()
    for url in (text, f"https://{text}"):
        if canonical_url(url) is not None:
            return article_id(url, "", "", "", "")
    raise UsageError(
        f"“{text[:200]}” is neither an article's id (32 hex digits) nor a web address that names "
        "an article; a site's root names none. `khabar tail articles` and `khabar tail duplicates` "
        "show the ids."
    )


def explain(finder: Finder, identity: str) -> Explanation:
    """Everything that the topics say of an article. Raises UsageError when they say nothing."""
    decisions = _decisions(finder, identity)
    if not decisions:
        raise _unknown(finder, identity)
    decided = next((each for each in decisions if not repeats(each)), decisions[0])
    record = record_of(decided)
    text = _text(finder, record)
    against = leader = None
    if record["matched"]:
        known = decisions
        if record["matched"] != identity:
            known = _before(finder, record, record["matched"])
        against = _held_against(record, known)
    against_text = None if against is None else _text(finder, record_of(against))
    other = None if against_text is None else against_text.parts
    if record["matched"] and other is None and record["story_id"] != identity:
        leader = _leader(finder, record)
        other = None if leader is None else _text(finder, record_of(leader)).parts
    found = Explanation(
        decisions,
        decided,
        text,
        against,
        against_text,
        leader,
        hours=None if against is None else _hours(record, record_of(against)),
    )
    if record["verdict"] == "update":
        life = _life(finder, record["story_id"], [decided])
        found = replace(found, news=_news(life).get(record["sequence"]))
    if text.parts is None or other is None:
        return found
    return replace(
        found, marked=compare(text.parts, other), against_marked=compare(other, text.parts)
    )


def story(finder: Finder, identity: str) -> Story:
    """The life of the story of this id, or of the article of this id; UsageError as `explain`."""
    found = _decisions(finder, identity, or_story=True)
    if not found:
        raise _unknown(finder, identity)
    story_id = next(
        (
            record_of(each)["story_id"]
            for each in found
            if record_of(each)["article_id"] == identity
        ),
        identity,
    )
    decisions = _life(finder, story_id, found)
    return Story(story_id, decisions, _news(decisions))


def compare(parts: Iterable[Part], other: Iterable[Part]) -> Marked:
    """A text with what the other does not have, by the words that likeness and novelty count.

    New is each word that weighs something and stands nowhere in the other text. What is between
    two of them and together weighs less than one rare word is marked with them, but not counted:
    passages are read, not words.
    """
    parts = tuple(parts)
    words = [(part, word) for part in parts for word in part.words]
    weighed = _weighed(word for _, word in words)
    known = {token for token, _ in _weighed(word for part in other for word in part.words)}
    new = [weight > 0 and token not in known for token, weight in weighed]
    marked, last, between = bytearray(new), -1, 0
    for at, (_, weight) in enumerate(weighed):
        if not new[at]:
            between += weight
            continue
        if last >= 0 and between < RARE * UNITS:
            marked[last:at] = b"\1" * (at - last)
        last, between = at, 0
    stretches, first = {}, 0
    for part in parts:
        stretches[part.name] = list(_stretches(part, marked[first : first + len(part.words)]))
        first += len(part.words)
    news = [
        weight * (is_new and part.name != "title")
        for (part, _), (_, weight), is_new in zip(words, weighed, new, strict=True)
    ]
    return Marked(stretches, len(words), sum(new), _densest(words, news))


def _weighed(words: Iterable[Word]) -> list[tuple[int, int]]:
    """What stands for each word where texts are compared, and its weight in units."""
    text = " ".join(word.text for word in words)
    if not text:
        return []
    found = vocabulary().words(text)
    return list(zip(found.tokens.tolist(), found.weights.tolist(), strict=True))


def _densest(words: list[tuple[Part, Word]], news: list[int]) -> str:
    """The display text of the words in a row, as many as `news` is looked for in, that have most
    of it: from the first to the last new one.
    """
    sums = [0, *accumulate(news)]
    starts = range(max(1, len(words) - SENTENCE + 1))
    start = max(starts, key=lambda at: sums[min(at + SENTENCE, len(words))] - sums[at])
    found = [at for at in range(start, min(start + SENTENCE, len(words))) if news[at]]
    if not found:
        return ""
    return " ".join(
        part.text[group[0].start : group[-1].end]
        for part, group in (
            (part, [word for _, word in group])
            for part, group in groupby(words[found[0] : found[-1] + 1], lambda each: each[0])
        )
    )


# --- what the topics say ------------------------------------------------------------------------


def record_of(message: Tailed) -> dict[str, Any]:
    """The decision in a message of an explanation or a story."""
    assert message.record is not None, "only decoded messages are kept"
    return message.record


def repeats(message: Tailed) -> bool:
    """Whether the decision says no more than that the article came again unchanged."""
    record = record_of(message)
    return bool(record["verdict"] == "duplicate" and record["matched"] == record["article_id"])


def _begins(record: Mapping[str, Any]) -> bool:
    """Whether it is the first decision on its article since that was last forgotten."""
    again = record["matched"] == record["article_id"] or record["verdict"] == "removal"
    return bool(record["revision"] == 1 and not again)


def _opens(record: Mapping[str, Any]) -> bool:
    """Whether it is the first decision of its story: it joined no other's."""
    joined = record["verdict"] == "removal" or (
        record["matched"] and record["verdict"] != "part_of"
    )
    return bool(record["article_id"] == record["story_id"] and not joined)


def _topics(finder: Finder) -> list[str]:
    return [finder.settings.topic(kind) for kind in (schemas.ARTICLES, schemas.DUPLICATES)]


def _sorted(messages: Iterable[Tailed]) -> list[Tailed]:
    """Newest first; a decision that a crash made twice (at-least-once) counts once."""
    by_sequence = {record_of(message)["sequence"]: message for message in messages}
    return [by_sequence[sequence] for sequence in sorted(by_sequence, reverse=True)]


def _search(finder: Finder, wanted: bytes, key: bytes | None = None) -> Iterator[list[Tailed]]:
    """Step by step back in time the decisions that name this id, their key included.

    Of an article that was removed later no text is given.
    """
    steps = finder.newest_first(_topics(finder), lambda value: wanted in value, key)
    removed: dict[str, int] = {}
    for step in steps:
        found = [m for m in step if m.record is not None and m.record.keys() >= _FIELDS]
        for record in map(record_of, found):
            if record["verdict"] == "removal":
                article = record["article_id"]
                removed[article] = max(record["sequence"], removed.get(article, 0))
        yield [
            _without_text(each)
            if record_of(each)["sequence"] < removed.get(record_of(each)["article_id"], 0)
            else each
            for each in found
        ]


def _without_text(message: Tailed) -> Tailed:
    """A decision as it may be shown after its article was removed."""
    record = record_of(message)
    blank = {
        name: type(record[name])() for name in _TEXTS if name in record and record[name] is not None
    }
    return replace(message, value=None, record={**record, **blank, "removed": True})


def _decisions(
    finder: Finder,
    identity: str,
    *,
    story_id: str = "",
    before: float = math.inf,
    or_story: bool = False,
) -> list[Tailed]:
    """The decisions on an article since the index last forgot it, newest first; with `or_story`
    those of the story of this id too.

    `story_id` is where the article is likely to be: its partition is read first. Only decisions
    with a sequence less than `before` count.
    """
    # The sink keys by story: a story's partition follows from its id, if the partitioner is the
    # usual one and the topic has had its partitions from the start. Else all are read.
    for key in (story_id.encode(), None) if story_id else (None,):
        found: list[Tailed] = []
        for step in _search(finder, identity.encode(), key):
            found += [
                each
                for each in step
                if record_of(each)["sequence"] < before
                and identity
                in (record_of(each)["article_id"], or_story and record_of(each)["story_id"])
            ]
            begins = [
                record_of(each)["sequence"]
                for each in found
                if record_of(each)["article_id"] == identity and _begins(record_of(each))
            ]
            if begins:
                return [e for e in _sorted(found) if record_of(e)["sequence"] >= max(begins)]
        if found:
            return _sorted(found)
    return []


def _before(finder: Finder, record: Mapping[str, Any], identity: str) -> list[Tailed]:
    """The decisions on another article of `record`'s story that were there before it."""
    return _decisions(finder, identity, story_id=record["story_id"], before=record["sequence"])


def _life(finder: Finder, story_id: str, known: list[Tailed]) -> list[Tailed]:
    """The decisions of a story, in order; `known` are some that were found before."""
    key = story_id.encode()
    known = [each for each in known if record_of(each)["story_id"] == story_id]
    found: list[Tailed] = []
    for partition_of in (key, None):
        found = []
        for step in _search(finder, key, partition_of):
            found += [each for each in step if record_of(each)["story_id"] == story_id]
            opened = [record_of(each)["sequence"] for each in found if _opens(record_of(each))]
            if opened and (partition_of is None or all(each in found for each in known)):
                return [e for e in _sorted(found)[::-1] if record_of(e)["sequence"] >= max(opened)]
    return _sorted(found)[::-1]


def _held_against(record: Mapping[str, Any], known: Iterable[Tailed]) -> Tailed | None:
    """Of `known` decisions the one whose text `record` was most likely held against."""
    earlier = [
        each
        for each in known
        if record_of(each)["article_id"] == record["matched"]
        and record_of(each)["sequence"] < record["sequence"]
    ]

    def likely(message: Tailed) -> tuple[bool, bool, bool, int]:
        other = record_of(message)
        return (
            record["matched"] == record["article_id"]
            and other["revision"] == (record.get("supersedes") or record["revision"]),
            other["content_hash"] == record["content_hash"],
            other["verdict"] != "duplicate",
            other["sequence"],
        )

    return max(earlier, key=likely, default=None)


def _hours(record: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """The hours between two publications, as the decision counted them."""
    times = []
    for each in (record, other):
        published, ingested = (
            _milliseconds(each["published_at"]),
            _milliseconds(each["ingested_at"]),
        )
        assert ingested is not None, "every message has Kafka's time"
        times.append(published_time(Article("", published=Time(published), ingested_at=ingested)))
    return abs(times[0] - times[1]) / HOUR_MS


def _milliseconds(time: datetime | None) -> int | None:
    return None if time is None else round(time.timestamp() * 1000)


def _news(life: Iterable[Tailed]) -> dict[int, Marked]:
    """By sequence each published text of a story beside all that were published before it; none
    when the text that opened the story is lost: then nobody can tell what was new.
    """
    news, told = {}, list[Part]()
    for message in life:
        record = record_of(message)
        parts = _published_parts(record)
        if told and parts:
            news[record["sequence"]] = compare(parts, told)
        if told or record["article_id"] == record["story_id"]:
            told += parts
    return news


def _leader(finder: Finder, record: Mapping[str, Any]) -> Tailed | None:
    """The newest text that the first article of `record`'s story had when it was decided."""
    return next(
        (each for each in _before(finder, record, record["story_id"]) if "body" in record_of(each)),
        None,
    )


def _unknown(finder: Finder, identity: str) -> UsageError:
    return UsageError(
        f"No decision on {identity} stands on {' or '.join(_topics(finder))}; all "
        f"{finder.read} records there were read. Perhaps it has not come through yet (`khabar "
        "doctor`), became a dead letter (`khabar tail dead-letters`), is kept under an id of its "
        "own because its message had no web address (`khabar tail articles`), has expired from the "
        "topics, or is on those of another --topic-prefix."
    )


# --- texts --------------------------------------------------------------------------------------


def _text(finder: Finder, record: Mapping[str, Any]) -> Text:
    """The text that was decided on: in the record when it was published, else from its message."""
    if is_removed(record):
        return Text(None, "The article was removed on request: its text is not shown.")
    if "body" in record:
        return Text(_published_parts(record))
    place = record["origin"]
    where = f"{place['topic']} {place['partition']}:{place['offset']}"
    message = finder.message(place["topic"], place["partition"], place["offset"])
    if isinstance(message, str):
        return Text(None, f"The text was in {where}, and {message}.")
    origin = Origin(message.topic, message.partition, message.offset, message.timestamp)
    raw = RawMessage(origin, message.key, message.value, tuple(message.headers))
    try:
        # What was taken once is taken again, whatever the limit is today.
        article = decode(raw, finder.registry.schema, max_bytes=encode.MAX_BYTES)
        if article.article_id != record["article_id"]:
            return Text(
                None,
                f"The text was in {where}, and another message stands there now, that of article "
                f"{article.article_id}: the topic is not the one that it was.",
            )
        article = normalize(clean(article))
    except StageError as error:
        return Text(
            None, f"The text was in {where}, and what stands there now is not taken: {error}."
        )
    display = article.display
    parts = text_parts(
        display.title.text, display.standfirst.text, display.body.text, display.language
    )
    if article.match.content_hash != record["content_hash"]:
        return Text(
            parts,
            f"The text, made again from {where}, is not quite the one that was decided on: the "
            f"rules have changed since (it was {record['profile']} of Khabar "
            f"{record['versions']['khabar']}), or another version of the article stands there now.",
        )
    return Text(parts)


def _published_parts(record: Mapping[str, Any]) -> tuple[Part, ...]:
    """The text that readers got: none of what was held back."""
    if "body" not in record:
        return ()
    return text_parts(record["title"], record["standfirst"], record["body"], record["language"])


def text_parts(title: str, standfirst: str, body: str, language: str) -> tuple[Part, ...]:
    """A display text's parts with their words, as Normalize makes them of this language."""
    match = match_text if language == "ar" else foreign_match_text
    parts = []
    for name, text in (("title", title), ("standfirst", standfirst), ("body", body)):
        matched, offsets = match(text)
        words = [
            Word(found.group(), *offsets.span(found.start(), found.end()))
            for found in _WORD.finditer(matched)
        ]
        parts.append(Part(name, text, words))
    return tuple(parts)


def _stretches(part: Part, marked: bytearray) -> Iterator[Stretch]:
    """The part's display text, cut where new and shared words meet; signs go with their word."""
    new = bytearray(len(part.text))
    seen = bytearray(len(part.text))
    for word, is_marked in zip(part.words, marked, strict=True):
        seen[word.start : word.end] = b"\1" * (word.end - word.start)
        if is_marked:
            new[word.start : word.end] = b"\1" * (word.end - word.start)
    begin, state = 0, None
    for found in _WORD.finditer(part.text):
        if not any(seen[found.start() : found.end()]):
            continue  # a dash goes with what is before it
        is_new = any(new[found.start() : found.end()])
        if state is not None and is_new != state:
            # The space between goes to what is shared.
            cut = len(part.text[: found.start()].rstrip()) if state else found.start()
            yield Stretch(part.text[begin:cut], state)
            begin = cut
        state = is_new
    if part.text:
        yield Stretch(part.text[begin:], bool(state))
