"""The match layer of an article, and the hash of it."""

from dataclasses import replace

from pipelines.records import Article, Display, Passage
from pipelines.stages.normalize import content_hash, normalize


def article(title: str, standfirst: str, body: str, language: str = "ar") -> Article:
    display = Display(
        title=Passage(title), standfirst=Passage(standfirst), body=Passage(body), language=language
    )
    return Article("x", display=display)


def test_normalize_fills_the_match_layer():
    """Each part has its match layer and its map; the hash is 128 bits in hex."""
    match = normalize(article("أنباءٌ", "موجزٌ", "نصٌّ «أول»\n\nنصٌّ ثانٍ")).match
    assert (match.title, match.standfirst, match.body) == ("انباء", "موجز", "نص اول نص ثان")
    assert len(match.body_offsets) == len(match.body)
    assert len(match.content_hash) == 32
    assert int(match.content_hash, 16)


def test_foreign_text_skips_the_arabic_rules():
    """Persian keeps its letters; only NFKC, case and punctuation are folded."""
    persian = article("", "", "گفت: «خانهٔ پدری»", "fa")
    assert normalize(persian).match.body == "گفت خانهٔ پدری"
    assert normalize(article("", "", "The STRASSE.", "en")).match.body == "the strasse"


def test_hash_ignores_spelling_and_where_the_standfirst_ends():
    """Spelling, white space and the cut before the body leave the hash alone; words change it."""
    one = normalize(article("أنباء", "موجز", "نص أول")).match.content_hash
    assert normalize(article("انباءُ", "", "موجز\n\n«نص»  اول")).match.content_hash == one
    assert normalize(article("انباء", "", "موجز نص اول")).match.content_hash == one
    assert normalize(article("انباء موجز", "", "نص اول")).match.content_hash != one
    assert normalize(article("أنباء", "موجز", "نص ثان")).match.content_hash != one
    assert content_hash("", "", "") == content_hash("", "", "")


def test_normalize_leaves_the_rest_alone():
    """Only the match layer is new."""
    before = article("أنباء", "", "نص")
    assert replace(normalize(before), match=before.match) == before
