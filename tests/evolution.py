"""The schemas as they were released, with records written by them, and what may change in them.

`python -m tests.evolution` writes the folder of the program's version in tests/golden/schemas/
anew: the schemas of now, and records from the samples. `python -m tests.evolution release` marks it
as released: from then on nothing in it changes, and every later schema is held against it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import expand_schema

from pipelines import __version__, schemas
from pipelines.kafka.topics import KINDS
from pipelines.producers import samples
from pipelines.stages.encode import Topics, unframe
from tests.golden_records import Record, golden, removal, writable

FOLDER = Path(__file__).parent / "golden" / "schemas"
RELEASED = FOLDER / "released.txt"  # a version and the digest of its folder on each line
# The index is read by the version that wrote it and the next ones, by nobody else.
PUBLIC = tuple(kind for kind in KINDS if kind != schemas.INDEX)


def records(kind: str) -> list[Record]:
    """Records as the program writes them now: of each way to be decided the shortest."""
    if kind == schemas.RAW:
        names = [field["name"] for field in json.loads(schemas.text(kind))["fields"]]
        values = [json.loads(s.value) for s in samples.read() if s.expect["verdict"] == "new"]
        return [{name: value.get(name) for name in names} for value in values[:2]]
    shortest: dict[str, list[Record]] = defaultdict(list)
    for of, record in golden():
        if of == kind:
            way = [record.get(name) for name in ("verdict", "rule", "type", "stage")]
            shortest[json.dumps(way)].append(record)
    found = [
        writable(kind, min(each, key=lambda r: len(json.dumps(r)))) for each in shortest.values()
    ]
    article = next(r for of, r in golden() if of == schemas.ARTICLES and r["entities"])
    plan = Topics("news", dict.fromkeys(KINDS, 0))
    for message in removal(article, plan):
        if message.topic == plan.name(kind):
            found.append(unframe(message.value or b"", schemas.parsed(kind)))
    return found


def as_json(value: Any) -> Any:
    """A record in what JSON can say."""
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else value


def written(version: str, kind: str, reader: Any = None) -> list[Record]:
    """The records of a version, read by the schema `reader`, else by their own."""
    with (FOLDER / version / f"news.{kind}.avro").open("rb") as stream:
        return [as_json(record) for record in fastavro.reader(stream, reader)]


def schema(version: str, kind: str) -> Any:
    """The schema of a version, as the file has it."""
    return json.loads((FOLDER / version / f"news.{kind}.avsc").read_text(encoding="utf-8"))


def versions() -> list[str]:
    """Those that there are records of."""
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def released() -> dict[str, str]:
    """The digest of each released version's folder."""
    return dict(line.split() for line in RELEASED.read_text(encoding="ascii").splitlines())


def digest(version: str) -> str:
    """SHA-256 over all files of a version's folder."""
    content = hashlib.sha256()
    for path in sorted((FOLDER / version).iterdir()):
        content.update(path.name.encode() + path.read_bytes())
    return content.hexdigest()


def write(version: str) -> None:
    """Writes the folder of a version that is not released."""
    if version in released():
        sys.exit(f"{version} is released: its schemas and records stay as they are.")
    folder = FOLDER / version
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = []
    for kind in KINDS:
        shutil.copy(schemas.FOLDER / f"news.{kind}.avsc", folder)
        found = records(kind)
        lines += [{kind: as_json(record)} for record in found]
        with (folder / f"news.{kind}.avro").open("wb") as stream:
            # The marker between blocks is random by default: the same records, the same file.
            marker = hashlib.md5(kind.encode()).digest()
            fastavro.writer(
                stream, schemas.parsed(kind), found, codec="deflate", sync_marker=marker
            )
    (folder / "records.jsonl").write_text(
        "".join(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n" for line in lines),
        encoding="utf-8",
    )


def seen_by(reader: Any, value: Any, known: dict[str, Any] | None = None) -> Any:
    """What the rules promise to a reader with the schema `reader`, of a value that a schema before
    or behind it wrote: its own fields, defaults for what is not there, and for a symbol that it
    does not know the enum's default.
    """
    known = {} if known is None else known
    if isinstance(reader, list):
        return None if value is None else seen_by(reader[-1], value, known)
    if isinstance(reader, str):
        return seen_by(known[reader], value, known) if reader in known else value
    if reader["type"] in ("record", "enum"):
        known[reader["name"]] = reader
    if reader["type"] == "record":
        return {
            field["name"]: seen_by(field["type"], value[field["name"]], known)
            if field["name"] in value
            else field["default"]
            for field in reader["fields"]
        }
    if reader["type"] == "enum":
        return value if value in reader["symbols"] else reader["default"]
    if reader["type"] == "array":
        return [seen_by(reader["items"], item, known) for item in value]
    return value


def changes(old: Any, new: Any) -> list[str]:
    """What the rules of schemas/README.md forbid in the step from `old` to `new`."""
    # In full: which of several fields spells a type out does not matter.
    return list(_changes(old["name"], expand_schema(old), expand_schema(new)))


def _changes(at: str, old: Any, new: Any) -> Iterator[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            for before, after in zip(old, new, strict=True):
                yield from _changes(at, before, after)
        elif old != new:
            yield f"{at}: its type {_name(old)} became {_name(new)}"
        return
    for part in ("type", "name", "namespace", "logicalType"):
        if isinstance(old.get(part), str) and old.get(part) != new.get(part):
            yield f"{at}: its {part} {old[part]} became {new.get(part)}"
            return
    if old["type"] == "record":
        yield from _fields(at, old["fields"], new["fields"])
    elif old["type"] == "enum":
        if new["symbols"][: len(old["symbols"])] != old["symbols"]:
            yield f"{at}: symbols of {old['name']} went, or changed places"
        if old.get("default") != new.get("default"):
            yield f"{at}: the default of {old['name']} changed"
    for inner in ("items", "values"):
        if inner in old:
            yield from _changes(at, old[inner], new[inner])


def _fields(at: str, old: list[Any], new: list[Any]) -> Iterator[str]:
    before = {field["name"]: field for field in old}
    after = {field["name"]: field for field in new}
    for name, field in before.items():
        if name not in after:
            yield f"{at}.{name} went, or has another name"
            continue
        none = object()
        if field.get("default", none) != after[name].get("default", none) and "default" in field:
            yield f"{at}.{name}: its default changed"
        yield from _changes(f"{at}.{name}", field["type"], after[name]["type"])
    for name in after.keys() - before.keys():
        if "default" not in after[name]:
            yield f"{at}.{name} is new and has no default"


def _name(schema: Any) -> str:
    return schema["name"] if isinstance(schema, dict) and "name" in schema else json.dumps(schema)


if __name__ == "__main__":
    if sys.argv[1:] == ["release"]:
        with RELEASED.open("a", encoding="ascii") as file:
            file.write(f"{__version__} {digest(__version__)}\n")
    else:
        write(__version__)
