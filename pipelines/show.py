"""A record of a topic for people (`as_text`) and for programs (`as_object`)."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pipelines import schemas
from pipelines.kafka.dead_letters import Group
from pipelines.kafka.tail import Tailed
from pipelines.stages.decode import FIELD_NAMES
from pipelines.stages.entry import REMOVED
from pipelines.terminal import escaped, fitted, isolated, label, width

# Columns of a line when nobody says how many there are.
WIDTH = 100
_INDENT = "  "
_SEPARATOR = " · "
# Bytes of a value that are looked at for an excerpt: a line holds no more.
_EXCERPT_BYTES = 4 * WIDTH
# Relations to texts that stay stories of their own; any other is one to `matched`.
APART = frozenset({"contains", "part_of"})
_GROUP = ("stage", "reason", "count", "again", "first", "last")
# Every rule in words, and the scores that it goes by.
_RULES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "no-match": ("nothing like it was seen", ()),
    "contained": ("a part of a longer text", ("containment",)),
    "same-content": ("the same article again", ()),
    "same-id": ("a new version of the article", ("likeness", "novelty")),
    "exact": ("the same text", ()),
    "exact-text": ("the same text under another title", ()),
    "likeness": ("nearly the same text", ("likeness",)),
    "likeness-late": ("nearly the same text, days later", ("likeness",)),
    "news": ("the same story with news in it", ("likeness", "news")),
    "numbers": ("the same text with another number", ("likeness", "novelty")),
    "cue-update": ("it says that the story goes on", ("likeness", "novelty")),
    "cue-correction": ("it says that it corrects the story", ("likeness", "novelty")),
    "cue-retraction": ("it says that the story is taken back", ("likeness", "novelty")),
    REMOVED: ("removed on request", ()),
}


def as_text(message: Tailed, columns: int = WIDTH) -> str:
    """One record as a few lines of at most `columns` columns, and a blank one after them.

    Whatever the message holds, it stays in its place: see `terminal.isolated`.
    """
    kind = message.topic.rpartition(".")[2]
    if kind == schemas.DEAD_LETTERS:
        lines = _dead_letter(message, columns)
    elif kind == schemas.RAW:
        lines = _raw(message, columns)
    elif message.record is None:
        lines = [excerpt(message.value, columns)]
    else:
        try:
            lines = _LINES[kind](message.record, columns)
        except (KeyError, TypeError, ValueError):  # a topic or a record of somebody else's
            lines = [isolated(json.dumps(as_plain(message.record), ensure_ascii=False), columns)]
    first, *others = filter(None, lines)
    others.append(f"{label(message.topic)} {message.partition}:{message.offset}")
    inside = columns - len(_INDENT)
    under = (f"\n{_INDENT}{fitted(line, inside)}" for line in others)
    return f"{fitted(first, columns)}{''.join(under)}\n"


def as_json(message: Tailed) -> str:
    """The object of `as_object` as a line of JSON that does no harm on a terminal either."""
    return escaped(json.dumps(as_object(message), ensure_ascii=False))


def as_object(message: Tailed) -> dict[str, Any]:
    """The message as an object that any JSON reader takes.

    A value in our wire format is decoded, any other is text. Bytes that are not UTF-8, and bytes
    in records, are Base64 under the name with `_base64` behind it. `timestamp` is Kafka's, in
    milliseconds; times in records are ISO 8601 in UTC.
    """
    value = _bytes("value", message.value) if message.record is None else {"value": message.record}
    return {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp": message.timestamp,
        **_bytes("key", message.key),
        "headers": [{"name": name, **_bytes("value", given)} for name, given in message.headers],
        **as_plain(value),
    }


def group_text(group: Group, columns: int = WIDTH) -> str:
    """A group of dead letters as a few lines with an example, and a blank one after them."""
    inside = columns - len(_INDENT)
    letter = group.example
    again = f", {group.again} of them sent back before" if group.again else ""
    times = " to ".join(dict.fromkeys(_kafka_time(each) for each in (group.first, group.last)))
    topic, place, _ = letter.failed_at
    value = letter.message.value
    lines = [
        f"{group.count} × {isolated(group.reason, 40)} in {isolated(group.stage, 20)}{again}",
        times,
        f"such as {letter.place}, from {isolated(topic, 40)} {isolated(place, 30)}",
        isolated(letter.detail, inside),
        excerpt(value, inside) if value else "no value",
    ]
    first, *others = filter(None, lines)
    under = (f"\n{_INDENT}{fitted(line, inside)}" for line in others)
    return f"{fitted(first, columns)}{''.join(under)}\n"


def group_json(group: Group) -> str:
    """A group of dead letters as a line of JSON; times are Kafka's, in milliseconds."""
    told = {name: getattr(group, name) for name in _GROUP}
    return escaped(json.dumps({**told, "example": as_object(group.example.message)}))


def _kafka_time(milliseconds: int) -> str:
    return _time(datetime.fromtimestamp(max(0, milliseconds) / 1000, UTC))


def facts(message: Tailed) -> dict[str, str]:
    """What a dead letter's headers say, by name without `khabar-`."""
    # Ours come behind the message's own, and the last of a name counts.
    return {
        name.removeprefix("khabar-"): (value or b"").decode("utf-8", "replace")
        for name, value in message.headers
        if name.startswith("khabar-")
    }


def is_removed(record: Mapping[str, Any]) -> bool:
    """Whether a record tells of an article that was removed, and so has none of its text."""
    return bool(record.get("removed") or record.get("rule") == REMOVED)


def title(record: Mapping[str, Any]) -> str:
    """The title of an article's record, or in its place why there is none."""
    if is_removed(record):
        return "(removed on request)"
    return record["title"] or "(no title)"


def why(record: Mapping[str, Any]) -> str:
    """In words, why an article was decided as it was: the rule, and the scores that it goes by."""
    rule = str(record.get("rule"))
    said, scores = _RULES.get(rule, (label(rule, 40), ("likeness",)))
    measured = (score(name, record[name]) for name in scores if record.get(name) is not None)
    return ", ".join((said, *measured))


def score(name: str, value: float) -> str:
    """A score with its name: all are shares, but for `news`, which are nats."""
    return f"{label(name)} {value:.{1 if name == 'news' else 2}f}"


def names(entities: Iterable[Mapping[str, Any]], cells: int) -> str:
    """The entities, most mentioned first, as many as fit into `cells` columns."""
    line = ""
    for entity in sorted(entities, key=lambda each: -int(each["count"])):
        name = f"{label(entity['type'])} {isolated(entity['name'], cells // 2)} ×{entity['count']}"
        longer = f"{line}, {name}" if line else name
        if width(longer) > cells:
            break
        line = longer
    return line


def excerpt(value: bytes | None, cells: int) -> str:
    """The beginning of a value's bytes as harmless text."""
    if value is None:
        return "(no value)"
    return isolated(value[:_EXCERPT_BYTES].decode("utf-8", "replace"), cells)


def _article(record: Mapping[str, Any], columns: int) -> list[str]:
    inside = columns - len(_INDENT)
    verdict = f"{label(record['verdict'], 12):<8} "
    agency, place = record.get("agency"), record.get("dateline")
    found = record.get("entities") or ()
    body = (record.get("standfirst") or record.get("body") or "").strip()
    related = [
        _named(each["relation"].replace("_", " "), each["article_id"])
        for each in record.get("related") or ()
        if each["relation"] in APART
    ]
    return [
        verdict + isolated(title(record), columns - width(verdict)),
        isolated(record.get("removal_reason") or "", inside) if is_removed(record) else "",
        _joined(
            isolated(record["source"], inside // 3),
            isolated(record["outlet"], inside // 3) if record.get("outlet") else "",
            _time(record.get("published_at")),
            label(record.get("language") or "", 12),
        ),
        _joined(
            f"agency {isolated(agency, inside // 3)}" if agency else "",
            f"from {isolated(place, inside // 3)}" if place else "",
        ),
        isolated(body.split("\n", 1)[0], inside) if body else "",
        names(found, inside),
        _named("story", record["story_id"]),
        f"{_named('article', record['article_id'])}, revision {record['revision']}",
        *(_against(record) if record.get("matched") else ()),
        *related,
    ]


def _duplicate(record: Mapping[str, Any], columns: int) -> list[str]:
    inside = columns - len(_INDENT)
    return [
        f"held back {isolated(title(record), columns - 10)}",
        _joined(
            isolated(record["source"], inside // 3),
            isolated(record["outlet"], inside // 3) if record.get("outlet") else "",
            _time(record.get("published_at")),
        ),
        *_against(record),
        _named("story", record["story_id"]),
        f"{_named('article', record['article_id'])}, revision {record['revision']}",
    ]


def _against(record: Mapping[str, Any]) -> list[str]:
    return [why(record), _named("held against", record["matched"])]


def _entity(record: Mapping[str, Any], columns: int) -> list[str]:
    inside = columns - len(_INDENT)
    latitude, longitude = record.get("latitude"), record.get("longitude")
    return [
        f"{label(record['type']):<4} (removed with its article)"
        if is_removed(record)
        else f"{label(record['type']):<4} {isolated(record['name'], columns - 12)} "
        f"×{record['count']}",
        _joined(
            label(record["entity_id"], 60),
            label(record.get("country") or "", 12),
            f"{latitude:.2f}, {longitude:.2f}" if None not in (latitude, longitude) else "",
            f"salience {record['salience']:.2f}",
        ),
        f"as {isolated(' / '.join(record['aliases']), inside - 3)}" if record["aliases"] else "",
        f"{_named('article', record['article_id'])}, {isolated(record['source'], inside // 3)}",
    ]


def _dead_letter(message: Tailed, columns: int) -> list[str]:
    inside = columns - len(_INDENT)
    said = facts(message)
    size = "no value" if message.value is None else f"{len(message.value)} bytes"
    key = f", key {isolated(message.key.decode('utf-8', 'replace'), 40)}" if message.key else ""
    return [
        f"dead letter: {isolated(said.get('reason', '?'), 30)} in "
        f"{isolated(said.get('stage', '?'), 20)}",
        isolated(said.get("detail", ""), inside),
        f"{size} from {isolated(said.get('topic', '?'), 30)} "
        f"{isolated(said.get('partition', '?'), 10)}:{isolated(said.get('offset', '?'), 20)}{key}",
        excerpt(message.value, inside) if message.value else "",
    ]


def _index(record: Mapping[str, Any], columns: int) -> list[str]:
    return [
        f"{label(record['kind'])}: sequence {record['sequence']}, "
        f"generation {record['generation']}",
        f"state version {label(record['state_version'], columns // 2)}, "
        f"{len(record['state'])} bytes",
    ]


_LINES: Mapping[str, Callable[[Mapping[str, Any], int], list[str]]] = {
    schemas.ARTICLES: _article,
    schemas.DUPLICATES: _duplicate,
    schemas.ENTITIES: _entity,
    schemas.INDEX: _index,
}


def _raw(message: Tailed, columns: int) -> list[str]:
    inside = columns - len(_INDENT)
    fields = message.record if message.record is not None else json_fields(message.value)
    given = {
        field: next((str(fields[n]) for n in FIELD_NAMES[field] if fields.get(n)), "")
        for field in ("title", "body", "source", "url")
    }
    text = given["title"] or given["body"]
    size = "no value" if message.value is None else f"{len(message.value)} bytes"
    return [
        isolated(text, columns) if text else excerpt(message.value, columns),
        _joined(
            isolated(given["source"], inside // 3) if given["source"] else "",
            isolated(given["url"], inside // 2) if given["url"] else "",
            size,
        ),
    ]


def json_fields(value: bytes | None) -> dict[str, Any]:
    """The fields of an article that came in as JSON; none when it is no object."""
    try:
        fields = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _named(what: str, identity: str) -> str:
    return f"{label(what, 20)} {label(identity, 60)}"


def _joined(*parts: str) -> str:
    return _SEPARATOR.join(filter(None, parts))


def _time(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else ""


def _bytes(name: str, value: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if value is None else value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value or b"").decode()}


def as_plain(value: Any) -> Any:
    """`value` of what JSON has: bytes as Base64 under the name with `_base64` behind it, times in
    ISO 8601 and UTC, whatever else Avro knows (decimals, …) as its text.
    """
    if isinstance(value, Mapping):
        return {
            f"{name}_base64" if isinstance(inner, bytes) else str(name): as_plain(inner)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [as_plain(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
