"""What `khabar explain` and `khabar story` print: for people (`…_text`), for programs
(`…_object`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby, zip_longest
from textwrap import wrap
from typing import Any, NamedTuple

from pipelines.explain import Explanation, Marked, Story, Text, record_of, repeats
from pipelines.kafka.tail import Tailed
from pipelines.show import APART, as_object, is_removed, score, title, why
from pipelines.stages.decide import (
    CONTAINED,
    HOUR_MS,
    LATE_LIKENESS,
    NEAR_LIKENESS,
    NEAR_MS,
    NEWS,
    OTHERWISE_EQUAL,
)
from pipelines.stages.likeness import CONTAINMENT, JACCARD, SENTENCE
from pipelines.terminal import escaped, fitted, isolated, label, pieces, plain, width

_INDENT = "  "
_SEPARATOR = " · "
_BETWEEN = " │ "
# Columns of a terminal below which two texts stand one under the other.
_NARROW = 60
_SEQUENCE, _VERDICT = 6, 11
# Sources that are named of the articles that were held back together.
_SOURCES = 4
_VERDICTS = {
    "new": "published: it opens a story",
    "duplicate": "held back: it says what another article said before",
    "update": "published: its story with something new",
    "revision": "published: a new version of an article that was out before",
    "correction": "published: it corrects its story",
    "retraction": "published: it takes its story back",
    "part_of": "published: it opens a story, and is a part of another text",
    "removal": "readers were told to delete the article",
}
# Verdicts for which it matters how much a text says that its story had not.
_BY_NOVELTY = frozenset({"duplicate", "update"})
# Rules by which texts are the same, so that nothing was measured.
_EQUAL = frozenset({"same-content", "exact", "exact-text", "removed"})
_NEAR_HOURS = NEAR_MS // HOUR_MS


class _Style(NamedTuple):
    """How a stretch is marked: on a terminal by its colour, elsewhere by signs around it."""

    on: str
    off: str
    is_colour: bool


def _styles(colour: bool) -> tuple[_Style, _Style]:
    """For what the other text does not have: in the article, and in what it was held against."""
    if colour:
        return _Style("\x1b[1;32m", "\x1b[0m", True), _Style("\x1b[1;31m", "\x1b[0m", True)
    return _Style("[+", "+]", False), _Style("[-", "-]", False)


def explanation_text(found: Explanation, read: int, columns: int, colour: bool) -> str:
    """The explanation in lines of at most `columns` columns."""
    record = record_of(found.decided)
    lines = [
        *_about(found.decided, columns),
        f"article {_id(record['article_id'])}, revision {record['revision']}",
        "",
        _strong(fitted(_verdict(record), columns), colour),
        _scores(record),
        *([isolated(record["removal_reason"], columns)] if record.get("removal_reason") else ()),
        *_reasons(found, columns),
        f"story {_id(record['story_id'])}",
        *map(_link, record.get("related") or ()),
    ]
    if found.against is not None:
        other = record_of(found.against)
        which = "itself" if _is_itself(record) else _id(other["article_id"])
        lines += [
            "",
            f"held against {which}, revision {other['revision']}, {label(other['verdict'], 12)}",
            *_about(found.against, columns, _INDENT),
        ]
    elif record["matched"]:
        lines += ["", f"held against {_id(record['matched'])}, of which no decision is left"]
    if found.leader is not None:
        leader = record_of(found.leader)
        lines += [
            "",
            f"the story's first article, {_id(leader['article_id'])}, "
            f"revision {leader['revision']}",
            *_about(found.leader, columns, _INDENT),
        ]
    lines += _notes(found, columns)
    lines += _first_told(found.news, columns)
    lines += _texts(found, columns, colour)
    lines += _others(found)
    return _printed([*lines, "", _read(read)], columns)


def explanation_object(found: Explanation, read: int) -> dict[str, Any]:
    """The explanation as an object; decisions are objects as `khabar tail --json` writes them."""
    return {
        "article_id": record_of(found.decided)["article_id"],
        "decision": as_object(found.decided),
        "text": _text_object(found.text, found.marked),
        "against": None if found.against is None else as_object(found.against),
        "against_text": found.against_text
        and _text_object(found.against_text, None if found.leader else found.against_marked),
        "leader": None if found.leader is None else as_object(found.leader),
        "leader_text": _marked_object(found.against_marked) if found.leader else None,
        "hours_apart": found.hours,
        "news": None if found.news is None else _marked_object(found.news),
        "decisions": [as_object(each) for each in found.decisions],
        "read": read,
    }


def story_text(story: Story, read: int, columns: int, colour: bool, everything: bool) -> str:
    """The story's life in lines of at most `columns` columns; `everything` unfolds the copies."""
    records = [record_of(each) for each in story.decisions]
    published = [record for record in records if record["verdict"] != "duplicate"]
    articles = {record["article_id"] for record in records}
    sources = {record["source"] for record in records}
    lines = [
        f"story {_id(story.story_id)}",
        isolated((published or records)[0]["title"] or "(no title)", columns),
        f"{_count(len(articles), 'article')} of {_count(len(sources), 'source')}, "
        f"{len(published)} published, {len(records) - len(published)} held back",
        f"{min(map(_when, records))} to {max(map(_when, records))}",
        "",
    ]
    for is_folded, group in groupby(
        story.decisions,
        lambda each: record_of(each)["verdict"] == "duplicate" and not everything,
    ):
        if is_folded:
            lines.append(_folded([record_of(each) for each in group], columns))
            continue
        for message in group:
            record = record_of(message)
            lines += _in_life(record, story.news.get(record["sequence"]), columns, colour)
    if not any(record["article_id"] == story.story_id for record in records):
        lines.append("The decision that opened it is no longer in the topics.")
    return _printed([*lines, "", _read(read)], columns)


def as_json(told: Mapping[str, Any]) -> str:
    """An object as a line of JSON that does no harm on a terminal either."""
    return escaped(json.dumps(told, ensure_ascii=False))


def story_object(story: Story, read: int) -> dict[str, Any]:
    """The story as an object: all its decisions in order, each with what is new in it."""
    return {
        "story_id": story.story_id,
        "decisions": [
            {**as_object(each), "news": _marked_object(story.news.get(record_of(each)["sequence"]))}
            for each in story.decisions
        ],
        "read": read,
    }


# --- an explanation -----------------------------------------------------------------------------


def _about(message: Tailed, columns: int, indent: str = "") -> list[str]:
    """Who said it where and when."""
    record, inside = record_of(message), columns - len(indent)
    outlet, published = record.get("outlet"), _time(record["published_at"])
    zone = " (no zone given)" if record.get("published_at_zone") == "none" else ""
    origin = record["origin"]
    lines = [
        isolated(title(record), inside),
        _joined(
            isolated(record["source"], inside // 2 - 2) if record["source"] else "",
            isolated(outlet, inside // 2 - 2) if outlet and outlet != record["source"] else "",
        ),
        label(record["url"], inside) if record.get("url") else "",
        f"published {published}{zone}" if published else "no time of publication",
        f"came in {_time(record['ingested_at'])}, "
        f"{label(origin['topic'], 40)} {origin['partition']}:{origin['offset']}",
    ]
    return [indent + line for line in lines if line]


def _verdict(record: Mapping[str, Any]) -> str:
    verdict = label(record["verdict"], 12)
    said = _VERDICTS.get(verdict, "published")
    if verdict == "duplicate" and is_removed(record):
        said = "held back: the article was removed on request"
    elif verdict == "duplicate" and _is_itself(record):
        said = "held back: the article came again unchanged"
    return f"{verdict}, {said}"


def _scores(record: Mapping[str, Any]) -> str:
    return _joined(_rule(record), f"sequence {record['sequence']}")


def _rule(record: Mapping[str, Any]) -> str:
    return _joined(why(record), f"rule {label(record['rule'], 40)}")


def _reasons(found: Explanation, columns: int) -> list[str]:
    """What was measured, and what it was held to, in as many lines as it takes."""
    record = record_of(found.decided)
    if record["rule"] in _EQUAL or record.get("likeness") is None:
        return []
    likeness, rest = record["likeness"], record["likeness"]
    terms = []
    for name, part in (("jaccard", JACCARD), ("containment", CONTAINMENT)):
        terms.append(f"{part} × {score(name, record[name])}")
        rest -= part * record[name]
    told = [
        f"likeness {likeness:.2f}: {', '.join(terms)}, first words and titles {rest:.2f}",
        _asked(record, found.hours),
    ]
    if record["verdict"] in _BY_NOVELTY:
        told += [
            f"{score('news', record['news'])}: nats of words that its story had not, the most in "
            f"{SENTENCE} in a row; {NEWS:g} make an update",
            f"{score('novelty', record['novelty'])}: the share, by weight, of words that its story "
            f"had not; up to {OTHERWISE_EQUAL:g}, another number makes an update",
        ]
    if record.get("cues"):
        told.append(f"cues: {', '.join(label(cue, 20) for cue in record['cues'])}")
    return [
        line for each in told for line in wrap(each, max(20, columns), subsequent_indent=_INDENT)
    ]


def _asked(record: Mapping[str, Any], hours: float | None) -> str:
    """The likeness that makes two texts one story, or why none was asked."""
    if _is_itself(record):
        return "one story by its address, however alike"
    near, late = f"{NEAR_LIKENESS:g}", f"{LATE_LIKENESS:g}"
    if hours is None:
        asked = f"{near}, or {late} when more than {_NEAR_HOURS} hours apart"
    elif hours <= _NEAR_HOURS:
        asked = f"{near}, as they are {hours:.1f} hours apart, within {_NEAR_HOURS}"
    else:
        asked = f"{late}, as they are {hours:.1f} hours apart, more than {_NEAR_HOURS}"
    linked = f"; below that, a containment of {CONTAINED:g} links them"
    return f"asked of one story: {asked}{linked if record['verdict'] == 'part_of' else ''}"


def _link(other: Mapping[str, Any]) -> str:
    relation = other["relation"]
    apart = ", a story of its own" if relation in APART else ""
    return (
        f"{label(relation, 20).replace('_', ' ')} {_id(other['article_id'])}, "
        f"{score('containment', other['containment'])}{apart}"
    )


def _first_told(news: Marked | None, columns: int) -> list[str]:
    """The passage by which a text has news for its story."""
    words = [(word, False) for word in plain(news.news).split()] if news else []
    if not news or not words:
        return []
    lines = _wrapped(words, columns - len(_INDENT), _styles(False)[0])
    head = f"new to its story, {_share(news)}; most of it in one place:"
    return ["", head, *(_INDENT + line for line, _ in lines)]


def _notes(found: Explanation, columns: int) -> list[str]:
    """What is to be said of the two texts, in as many lines as it takes."""
    told = (("this article", found.text), ("held against", found.against_text))
    notes = [f"{which}: {text.note}" for which, text in told if text is not None and text.note]
    return [line for note in notes for line in ("", *wrap(plain(note), max(20, columns)))]


def _texts(found: Explanation, columns: int, colour: bool) -> list[str]:
    """The two texts beside each other."""
    if found.marked is None or found.against_marked is None:
        return []
    new, gone = _styles(colour)
    if not found.marked.new and not found.against_marked.new:
        return ["", f"both have the same words, {_count(found.marked.words, 'word')}"]
    lines = [
        "",
        f"only in this article: {_share(found.marked)}, {new.on}so{new.off}",
        f"only in the other: {_share(found.against_marked)}, {gone.on}so{gone.off}",
        "",
    ]
    other = "held against" if found.leader is None else "first of the story"
    sides = ((other, found.against_marked, gone), ("this article", found.marked, new))
    if columns < _NARROW:
        for name, marked, style in sides:
            lines += [f"--- {name}", *(line for line, _ in _column(marked, columns, style)), ""]
        return lines[:-1]
    cells = (columns - len(_BETWEEN)) // 2
    left, right = (
        [(name, len(name)), ("", 0), *_column(marked, cells, style)]
        for name, marked, style in sides
    )
    for (one, used), (two, _) in zip_longest(left, right, fillvalue=("", 0)):
        lines.append(f"{one}{' ' * (cells - used)}{_BETWEEN}{two}".rstrip())
    return lines


def _column(marked: Marked, cells: int, style: _Style) -> Iterator[tuple[str, int]]:
    """The text's lines, each with the columns it takes; an empty line between paragraphs."""
    paragraphs: list[list[tuple[str, bool]]] = []
    for stretches in marked.parts.values():
        paragraphs.append([])
        for stretch in stretches:
            for number, line in enumerate(stretch.text.split("\n")):
                if number:
                    paragraphs.append([])
                words = filter(None, map(plain, line.split()))
                paragraphs[-1] += [(word, stretch.new) for word in words]
    for number, paragraph in enumerate(filter(None, paragraphs)):
        if number:
            yield "", 0
        yield from _wrapped(paragraph, cells, style)


def _wrapped(words: list[tuple[str, bool]], cells: int, style: _Style) -> Iterator[tuple[str, int]]:
    """The paragraph's words on lines of at most `cells` columns, each its own box for bidi."""
    line: list[str] = []
    used = 0
    for word, is_new in _signed(words, style):
        for piece in pieces(word, cells):
            size = width(piece)
            if line and used + 1 + size > cells:
                yield _box(line), used
                line, used = [], 0
            used += size + bool(line)
            line.append(f"{style.on}{piece}{style.off}" if is_new and style.is_colour else piece)
    yield _box(line), used


def _signed(words: list[tuple[str, bool]], style: _Style) -> Iterator[tuple[str, bool]]:
    """The words, with signs at the first and the last of new ones where there is no colour."""
    for is_new, group in groupby(words, lambda word: word[1]):
        run = [word for word, _ in group]
        if is_new and not style.is_colour:
            run[0] = style.on + run[0]
            run[-1] += style.off
        for word in run:
            yield word, is_new


def _box(words: list[str]) -> str:
    """As `terminal.isolated`, for harmless words that have their colours around them."""
    return f"\u2068{' '.join(words)}\u2069"


def _others(found: Explanation) -> list[str]:
    """The article's other decisions, a line each, repetitions of one kind folded."""
    others = [each for each in found.decisions if each is not found.decided]
    if not others:
        return []
    lines = ["", f"{_count(len(others), 'other decision')} on this article, newest first:"]
    for is_repeated, group in groupby(others, repeats):
        for message in [next(group)] if is_repeated else group:
            record = record_of(message)
            more = sum(1 for _ in group) if is_repeated else 0
            lines += [
                f"{_INDENT}{_when(record)} {label(record['verdict'], 12)}, "
                f"revision {record['revision']}" + (f", and {more} more of these" if more else ""),
                f"{_INDENT}{_INDENT}{_scores(record)}",
            ]
    return lines


# --- a story ------------------------------------------------------------------------------------


def _in_life(
    record: Mapping[str, Any], news: Marked | None, columns: int, colour: bool
) -> list[str]:
    inside = columns - len(_INDENT)
    verdict = label(record["verdict"], _VERDICT)
    head = f"{record['sequence']:>{_SEQUENCE}}  {_when(record)}  "
    padding = " " * (_VERDICT + 1 - width(verdict))
    source = isolated(record["source"], max(1, columns - len(head) - _VERDICT - 1))
    revision = f" revision {record['revision']}" if record["revision"] > 1 else ""
    # Most are held against what opened the story: that is not repeated.
    matched = _id(record["matched"] or "") if record["matched"] != record["story_id"] else ""
    if _is_itself(record):
        matched = "itself"
    lines = [
        head + _strong(verdict, colour and verdict != "duplicate") + padding + source,
        f"{_INDENT}{isolated(title(record), inside)}",
        f"{_INDENT}article {_id(record['article_id'])}{revision}",
        f"{_INDENT}{_rule(record)}",
        f"{_INDENT}held against {matched}" if matched else "",
        *(
            f"{_INDENT}{_link(each)}"
            for each in record.get("related") or ()
            if each["relation"] in APART
        ),
    ]
    if news is not None and news.new:
        head = f"new, {_share(news)}: "
        lines.append(f"{_INDENT}{head}{isolated(news.news or record['title'], inside - len(head))}")
    return [line for line in lines if line]


def _folded(records: list[dict[str, Any]], columns: int) -> str:
    sources = Counter(record["source"] for record in records)
    named = ", ".join(
        isolated(source, columns // 5) + (f" ×{count}" if count > 1 else "")
        for source, count in sources.most_common(_SOURCES)
    )
    more = len(sources) - _SOURCES
    others = f" and {_count(more, 'other')}" if more > 0 else ""
    return f"{'':{_SEQUENCE}}  {len(records)} held back: {named}{others}"


# --- words --------------------------------------------------------------------------------------


def _is_itself(record: Mapping[str, Any]) -> bool:
    return bool(record["matched"] == record["article_id"])


def _text_object(text: Text, marked: Marked | None) -> dict[str, Any]:
    found: dict[str, Any] = {"note": text.note or None, "parts": None}
    if marked is not None:
        return found | _marked_object(marked)
    if text.parts is not None:
        found["parts"] = {part.name: [{"text": part.text}] for part in text.parts}
    return found


def _marked_object(marked: Marked | None) -> dict[str, Any]:
    if marked is None:
        return {}
    return {
        "parts": {
            name: [{"text": stretch.text, "new": stretch.new} for stretch in stretches]
            for name, stretches in marked.parts.items()
        },
        "words": marked.words,
        "new_words": marked.new,
        "most_new": marked.news,
    }


def _printed(lines: list[str], columns: int) -> str:
    """The lines, none longer than it may be. Those with colours are ours, and measured before."""
    return "\n".join(line if "\x1b" in line else fitted(line, columns) for line in lines)


def _id(identity: str) -> str:
    return label(identity, 60)


def _when(record: Mapping[str, Any]) -> str:
    return _time(record["published_at"] or record["ingested_at"])


def _time(value: datetime | None) -> str:
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _joined(*parts: str) -> str:
    return _SEPARATOR.join(filter(None, parts))


def _strong(text: str, colour: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if colour else text


def _share(marked: Marked) -> str:
    return f"{marked.new} of {_count(marked.words, 'word')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _read(read: int) -> str:
    return f"{_count(read, 'record')} read"
