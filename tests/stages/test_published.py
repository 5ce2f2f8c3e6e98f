"""Which time an article is taken to be of: the message's, else the page's, by whose clocks."""

from datetime import UTC, datetime

import pytest

from pipelines.records import Article, Time
from pipelines.stages.clean import clean
from pipelines.stages.times import parse_time

TITLE = "افتتاح جسر جديد فوق النهر"
PROSE = (
    "افتتح وزير النقل جسراً جديداً فوق النهر بطول كيلومترين، وذلك بعد ثلاث سنوات من العمل المتواصل "
    "الذي شاركت فيه شركات محلية عدة من المدينة وما حولها."
)
ZONES = {"مثال": "Asia/Riyadh", "شام اف ام": "Asia/Damascus"}


def published(line: str, own: str = "", fetched: str = "", source: str = "") -> Time:
    body = f"{TITLE}\n{line}\n{PROSE}"
    times = {"published": parse_time(own), "fetched": parse_time(fetched)}
    return clean(Article("x", raw_body=body, source=source, **times), ZONES).published


def at(*numbers: int) -> int:
    return int(datetime(*numbers, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc]


def test_the_messages_own_time_wins():
    """What the page prints fills only a time that is missing; the words are kept."""
    line = "2 نوفمبر 2017"
    assert published(line, "2017-11-03T00:00:00Z").utc == at(2017, 11, 3)
    assert published(line) == Time(at(2017, 11, 2), line, "none", 0.8)
    assert published(line, "3 نوفمبر 2017") == Time(at(2017, 11, 3), "3 نوفمبر 2017", "none", 0.8)
    assert published(line, "soon").text == line


@pytest.mark.parametrize("line", ["منذ ساعتين", "أمس 10:00"])
def test_what_counts_from_the_fetching(line: str):
    """It is resolved against fetched_at, and without that kept as the words alone."""
    when = published(line, fetched="2017-11-13T12:00:00Z")
    assert when.utc in (at(2017, 11, 13, 10), at(2017, 11, 12, 10))
    assert when.relative
    assert published(line) == Time(None, line, relative=True)


def test_the_outlets_clocks():
    """The source's zone, else that of the outlet in the text, holds for the page's time and for
    the message's when that has none of its own."""
    line = "2 نوفمبر 2017 12:00"
    assert published(line).zone == "none"
    assert published(line, source="مثال").utc == at(2017, 11, 2, 9)
    assert published("", "2017-11-02 12:00", source="مثال").utc == at(2017, 11, 2, 9)
    assert published("", "2017-11-02 12:00Z", source="مثال").utc == at(2017, 11, 2, 12)
    told = published(f"شام إف إم - سامر الأحمد:\n{line}", source="مجهول")
    assert (told.utc, told.zone) == (at(2017, 11, 2, 10), "outlet")


def test_the_fetching_too():
    """fetched_at is read by the same clocks."""
    article = Article("x", raw_body=PROSE, source="مثال", fetched=parse_time("2017-11-02 12:00"))
    assert clean(article, ZONES).fetched.utc == at(2017, 11, 2, 9)
    assert clean(article).fetched == article.fetched
