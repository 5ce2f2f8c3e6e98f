"""Normalize: the match layer of each part, and the hash that says whether two texts are one text
but for their spelling.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from pipelines.records import Article, Match
from pipelines.stages.arabic.layers import foreign_match_text, match_text

_HASH_CHARACTERS = 32  # 128 bits in hex


def normalize(article: Article) -> Article:
    """The article with its match layer, made from the display layer.

    Arabic has its own rules, every other language NFKC, casefold and punctuation.
    """
    display = article.display
    match = match_text if display.language == "ar" else foreign_match_text
    title, title_offsets = match(display.title.text)
    standfirst, standfirst_offsets = match(display.standfirst.text)
    body, body_offsets = match(display.body.text)
    return replace(
        article,
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


def content_hash(title: str, standfirst: str, body: str) -> str:
    """128 bits of SHA-256, in hex, of the match layer; the same wherever the standfirst ends."""
    text = f"{title}\n{' '.join(filter(None, (standfirst, body)))}"
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]
