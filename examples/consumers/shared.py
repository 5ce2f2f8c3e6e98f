"""What both Python readers need: their options, and a store that acts on revisions and removals."""

from __future__ import annotations

import argparse
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def options(description: str) -> argparse.Namespace:
    """The command line of a reader."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bootstrap-servers", default="127.0.0.1:9092")
    parser.add_argument("--registry-url", default="http://127.0.0.1:8081/apis/ccompat/v7")
    parser.add_argument("--topic", action="append", help="may be given several times")
    parser.add_argument("--group", default="my-reader")
    parser.add_argument("--store", type=Path, default=Path("news.sqlite"))
    parser.add_argument(
        "--until-caught-up", action="store_true", help="then print what is held, and end"
    )
    given = parser.parse_args()
    given.topic = given.topic or ["news.articles"]
    return given


class Store:
    """The newest records of each article, in SQLite; nothing of an article that was removed.

    Taking a record twice changes nothing: so offsets may be committed after the work.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path)
        self._db.executescript(
            """
            CREATE TABLE IF NOT EXISTS held (
                article_id TEXT, topic TEXT, entity_id TEXT, revision INTEGER, record TEXT,
                PRIMARY KEY (article_id, topic, entity_id));
            CREATE TABLE IF NOT EXISTS removed (article_id TEXT PRIMARY KEY);
            """
        )

    def take(self, topic: str, record: dict[str, Any]) -> None:
        """Keeps, replaces or deletes, as the record says."""
        article = record["article_id"]
        if record.get("verdict") == "removal" or record.get("removed"):
            # Topics are read at different speeds: what is still to come of it is refused below.
            self._db.execute("INSERT OR IGNORE INTO removed VALUES (?)", (article,))
            self._db.execute("DELETE FROM held WHERE article_id = ?", (article,))
            return
        if self._one("SELECT 1 FROM removed WHERE article_id = ?", article):
            return
        revision = record["revision"]
        newest = self._one(
            "SELECT max(revision) FROM held WHERE article_id = ? AND topic = ?", article, topic
        )
        if newest is not None and newest > revision:
            return
        if newest is not None and newest < revision:
            self._db.execute(
                "DELETE FROM held WHERE article_id = ? AND topic = ?", (article, topic)
            )
        self._db.execute(
            "INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?)",
            (article, topic, record.get("entity_id", ""), revision, _json(record)),
        )

    def commit(self) -> None:
        """Returns when all that was taken is on the disk."""
        self._db.commit()

    def lines(self) -> Iterator[str]:
        """What is held, a JSON object for each record."""
        query = "SELECT topic, record FROM held ORDER BY topic, article_id, entity_id"
        for topic, record in self._db.execute(query):
            yield f'{{"topic": {json.dumps(topic)}, "record": {record}}}'

    def _one(self, query: str, *values: str) -> Any:
        row = self._db.execute(query, values).fetchone()
        return row and row[0]


def _json(record: dict[str, Any]) -> str:
    # The deserializers make datetimes of Avro's timestamps.
    return json.dumps(record, ensure_ascii=False, default=lambda time: time.isoformat())
