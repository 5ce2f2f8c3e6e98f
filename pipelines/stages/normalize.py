"""Normalize: the match layer of each part, the dates in it, and the hash that says whether two
texts are one text but for their spelling.
"""

from __future__ import annotations

import hashlib

from pipelines.records import Article, DateMention, Match, RawField, changed
from pipelines.stages.arabic.layers import foreign_match_text, match_text
from pipelines.stages.arabic.mentions import Part, date_mentions
from pipelines.stages.times import own_clock

_HASH_CHARACTERS = 32  # 128 bits in hex
# Confidence from which on other dates may count from the article's own; a day's numbers in doubt
# and a time that itself counts from another have less.
_BELIEVED = 0.5


def normalize(article: Article) -> Article:
    """The article with its match layer, made from the display layer, and the dates in its text.

    Arabic has its own rules, every other language NFKC, casefold and punctuation,
    and no dates.
    """
    display = article.display
    arabic = display.language == "ar"
    match = match_text if arabic else foreign_match_text
    title, title_offsets = match(display.title.text)
    standfirst, standfirst_offsets = match(display.standfirst.text)
    body, body_offsets = match(display.body.text)
    parts = (
        Part(display.title, title, title_offsets),
        Part(display.standfirst, standfirst, standfirst_offsets),
        Part(display.body, body, body_offsets),
    )
    return changed(
        article,
        dates=_dates(article, parts) if arabic else (),
        match=Match(
            title=title,
            standfirst=standfirst,
            body=body,
            title_offsets=title_offsets,
            standfirst_offsets=standfirst_offsets,
            body_offsets=body_offsets,
            content_hash=content_hash(title, standfirst, body),
        ),
    )


def _dates(article: Article, parts: tuple[Part, ...]) -> tuple[DateMention, ...]:
    own = article.published
    clock = own_clock(own) if own.confidence >= _BELIEVED else None
    raw: dict[RawField, str] = {"raw_title": article.raw_title, "raw_body": article.raw_body}
    return date_mentions(parts, raw, clock)


def content_hash(title: str, standfirst: str, body: str) -> str:
    """128 bits of SHA-256, in hex, of the match layer; the same wherever the standfirst ends."""
    text = f"{title}\n{' '.join(filter(None, (standfirst, body)))}"
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]
