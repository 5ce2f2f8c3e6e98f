"""What `pip install` gets: a wheel that holds all it needs and works away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content."""
    pytest.importorskip("hatchling", reason="hatchling builds the wheel; `make` installs it")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("khabar-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def python(installed: Path, folder: Path, *arguments: str) -> str:
    """The output of Python, run in `folder` with the wheel before everything else on its path."""
    done = subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_content(installed: Path) -> None:
    """The wheel holds the package, schemas, samples and the stages' data, and no tests."""
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"pipelines"}
    package = installed / "pipelines"
    for folder, pattern in (("schemas", "*.avsc"), ("samples", "*.jsonl")):
        shipped = {path.name: path.read_bytes() for path in (package / folder).glob(pattern)}
        assert shipped == {path.name: path.read_bytes() for path in (ROOT / folder).glob(pattern)}
        assert shipped
    for path in (ROOT / "pipelines").rglob("*.tsv"):
        assert (installed / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


@pytest.mark.slow  # compiles all anew
def test_works_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    """`khabar process` runs on the wheel's own schemas and data; the samples are there, too."""
    where = (
        "import pipelines, json; from pipelines import schemas; from pipelines.producers import "
        "samples; print(json.dumps([pipelines.__file__, str(schemas.FOLDER), "
        "len(list(samples.read()))]))"
    )
    file, schemas, count = json.loads(python(installed, tmp_path, "-c", where))
    assert Path(file).is_relative_to(installed)
    assert Path(schemas).is_relative_to(installed)
    assert count >= 60
    (tmp_path / "a.jsonl").write_text('{"title": "خبر من القاهرة"}\n[]\n', encoding="utf-8")
    python(installed, tmp_path, "-m", "pipelines", "process", "a.jsonl", "--out", "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "articles.avro",
        "duplicates.avro",
        "entities.avro",
        "dead-letters.avro",
    }
