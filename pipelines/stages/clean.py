"""Clean: the display layer, cut into title, standfirst and body, with everything else that the
page printed taken out, named, and listed with its raw offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipelines.offsets import OffsetMap
from pipelines.records import Article, Display
from pipelines.stages.arabic.cues import cues_of
from pipelines.stages.arabic.dates import read_date
from pipelines.stages.arabic.language import language_of
from pipelines.stages.arabic.layers import display_text
from pipelines.stages.markup import Span, visible_text, with_markup
from pipelines.stages.parts import one_line, parts


def clean(article: Article) -> Article:
    """The article with its display layer, and its publication time where only the text has one.

    Arabic furniture rules are for Arabic; in other languages the parts are title and body, and
    only repeated titles go.
    """
    title_text, title_offsets, title_markup = _displayed(article.raw_title)
    title = one_line(title_text, title_offsets, "raw_title")
    text, offsets, markup = _displayed(article.raw_body)
    language = language_of(f"{title.text}\n{text}")
    found = parts(title, text, offsets, arabic=language == "ar", author=article.author)
    published = article.published
    if published.utc is None:
        published = (published.text and read_date(published.text)) or found.date or published
    return replace(
        article,
        published=published,
        display=Display(
            title=found.title,
            standfirst=found.standfirst,
            body=found.body,
            furniture=with_markup(found.furniture, {"raw_title": title_markup, "raw_body": markup}),
            outlet=found.told.get("outlet", ""),
            byline=found.told.get("byline", ""),
            agency=found.told.get("agency", ""),
            dateline=found.told.get("dateline", ""),
            captions=found.captions,
            cues=cues_of(found.title.text, found.standfirst.text or found.body.text)
            if language == "ar"
            else (),
            language=language,
        ),
    )


def _displayed(raw: str) -> tuple[str, OffsetMap, Sequence[Span]]:
    """The display layer of what a reader of `raw` sees, the way back, and where markup stood."""
    visible = visible_text(raw)
    text, offsets = display_text(visible.text)
    if visible.offsets is not None:
        offsets = offsets.then(visible.offsets)
    return text, offsets, visible.markup
