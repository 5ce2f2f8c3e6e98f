"""docs/consuming.md shows what the examples do, and tells every verdict and rule."""

from __future__ import annotations

import json
import re

import pytest

from pipelines import schemas
from tests.test_layout import ROOT

TEXT = (ROOT / "docs" / "consuming.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "examples" / "consumers"
# Files by what a block of the document says that it is; a block of commands is in none.
FILES = {
    "python": EXAMPLES.glob("*.py"),
    "java": EXAMPLES.glob("java/src/**/*.java"),
    "json": EXAMPLES.glob("connect/*.json"),
    "sh": EXAMPLES.glob("*.sh"),
}
COMMANDS = ("pip ", "cd ", "sh ")
READERS = ("python_kafka.py", "python_confluent.py", "kcat.sh", "connect/sink.json",
    "java/src/main/java/khabar/example/Reader.java")  # fmt: skip


def test_what_is_shown_stands_in_the_examples():
    """Every piece of code of the document is a piece of a file that the tests run."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    shown = [(kind, block) for kind, block in blocks if not block.startswith(COMMANDS)]
    assert {kind for kind, _ in shown} == FILES.keys()
    texts = {
        kind: "\0".join(path.read_text(encoding="utf-8") for path in paths)
        for kind, paths in FILES.items()
    }
    for kind, block in shown:
        assert block in texts[kind], block


def test_files_that_are_named_are_there():
    """Every path of the examples in a link or a command exists."""
    paths = re.findall(r"\.\./([\w./-]+)|(examples/[\w./-]+)", TEXT)
    assert len(paths) > len(READERS)
    for path in map("".join, paths):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("path", READERS)
def test_each_reader_sets_the_one_setting(path):
    """Each sets `read_committed`, and says why where it can."""
    text = (EXAMPLES / path).read_text(encoding="utf-8")
    assert "read_committed" in text
    assert path.endswith(".json") or "never committed" in text


def rows(heading: str) -> list[str]:
    """What stands in the first column of the table under this head."""
    lines = TEXT.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [line.split("|")[1].strip(" `") for line in lines]


def test_every_verdict_and_rule_is_told():
    """The tables have a row for each verdict of the schema and for each rule that it lists."""
    fields = {f["name"]: f for f in json.loads(schemas.text(schemas.ARTICLES))["fields"]}
    assert set(rows("verdict")) == set(fields["verdict"]["type"]["symbols"])
    listed = fields["rule"]["doc"].removeprefix("The rule that fired: ").partition(";")[0]
    assert set(rows("rule")) == set(re.split(r", | or ", listed))
