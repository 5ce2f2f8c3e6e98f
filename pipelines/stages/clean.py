"""Clean: the display layer, cut into title, standfirst and body, with everything else that the
page printed taken out, named, and listed with its raw offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from pipelines.offsets import OffsetMap
from pipelines.records import Article, Display, RawField, Time, changed
from pipelines.stages.arabic.cues import cues_of
from pipelines.stages.arabic.dates import read_date
from pipelines.stages.arabic.language import language_of
from pipelines.stages.arabic.layers import display_text, refuse_piles
from pipelines.stages.markup import Span, Visible, visible_text, with_markup
from pipelines.stages.parts import one_line, parts
from pipelines.stages.times import OutletZones, in_zone, zone_of


def clean(article: Article, outlet_zones: OutletZones | None = None) -> Article:
    """The article with its display layer, and its publication time where only the text has one.

    Times without a zone are what the outlet's clocks showed, by `outlet_zones`; else UTC.

    Arabic furniture rules are for Arabic; in other languages the parts are title and body, and
    only repeated titles and what markup calls a caption go. Raises StageError `marks` for HTML
    that holds hundreds of combining marks on one letter.
    """
    title_text, title_offsets, in_title = _displayed("title", article.raw_title)
    title = one_line(title_text, title_offsets, "raw_title")
    text, offsets, in_body = _displayed("body", article.raw_body)
    language = language_of(f"{title.text}\n{text}")
    found = parts(
        title,
        text,
        offsets,
        arabic=language == "ar",
        author=article.author,
        source=article.source,
        captions=in_body.captions,
    )
    markup: dict[RawField, Sequence[Span]] = {
        "raw_title": in_title.markup,
        "raw_body": in_body.markup,
    }
    zone = zone_of(outlet_zones or {}, article.source, found.told.get("outlet", ""))
    fetched = in_zone(article.fetched, zone)
    return changed(
        article,
        published=_published(article.published, found.date, fetched, zone),
        fetched=fetched,
        display=Display(
            title=found.title,
            standfirst=found.standfirst,
            body=found.body,
            furniture=with_markup(found.furniture, markup),
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


def _published(own: Time, printed: Time | None, fetched: Time, zone: tzinfo | None) -> Time:
    """The message's own time; where it has none, what its words or the page's say."""
    if own.utc is not None:
        return in_zone(own, zone)
    for text in (own.text, printed.text if printed else ""):
        if text and (read := read_date(text, zone=zone, fetched=fetched)) and read.utc is not None:
            return read
    return own if own.text else printed or own


def _displayed(name: str, raw: str) -> tuple[str, OffsetMap, Visible]:
    """The display layer of what a reader of `raw` sees, the way back, and what markup there was."""
    visible = visible_text(raw)
    if visible.offsets is not None:  # decode has looked at raw text alone
        refuse_piles(name, visible.text)
    text, offsets = display_text(visible.text)
    if visible.offsets is not None:
        offsets = offsets.then(visible.offsets)
    return text, offsets, visible
