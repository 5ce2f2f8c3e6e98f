"""HTML in a title or body: the text that a reader of the page sees, the way back to the raw text,
and where tags, comments, scripts and styles stood.

A tokenizer of our own after the HTML standard's (13.2.5), for plain text with `<` and `&` in it
must come out as it is, and every character must be traced (docs/decisions.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html.entities import html5
from typing import NamedTuple

from pipelines.offsets import OffsetMap
from pipelines.records import Furniture, RawField

Span = tuple[int, int]

# The line ends that tags make, told apart by this from those of the raw text; the display layer
# makes LF of it.
_LINE = "\u2028"
_PARAGRAPH = 2 * _LINE
# What stands in the text for the tags of an element, the opening and the closing one alike. A tag
# of any other name is text. Names from the HTML standard, chapters 4 and 16.2 (obsolete ones).
_SHOWN = {
    _PARAGRAPH: "address article aside blockquote body center details dialog dir dl fieldset figure"
    " footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html listing main menu nav ol p plaintext"
    " pre search section table title ul xmp",
    _LINE: "br caption dd div dt figcaption frame frameset legend li optgroup option summary tbody"
    " textarea tfoot thead tr",
    " ": "applet audio button canvas embed iframe image img input object select svg td th video",
    "": "a abbr acronym area b base basefont bdi bdo bgsound big blink cite code col colgroup data"
    " datalist del dfn em font i ins kbd keygen label link map mark marquee math meta meter nobr"
    " noembed noframes noscript output param path picture progress q rb rp rt rtc ruby s samp"
    " script slot small source span strike strong style sub sup template time track tt u var wbr",
}
_ELEMENTS = {name: shown for shown, names in _SHOWN.items() for name in names.split()}
# In a text with one of these, a line end is mostly where an editor wrapped the line.
_WRAPPING = frozenset(["p", "div", "li", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6"])
# A browser shows nothing of what stands inside.
_UNSEEN = ["iframe", "noembed", "noframes", "noscript", "script", "style", "template"]

_OPENING = re.compile(r"<(?=[A-Za-z/!?])|&(?=[A-Za-z#])|\]\]>")
# Names with a colon are Word's. What follows a name must be able to begin an attribute of HTML, so
# that <b كلمة> is text.
_TAG = re.compile(
    r"</?(?:(?:o|v|w|st1):[\w-]++|(?P<name>[A-Za-z][A-Za-z0-9]*+))(?=[\s/>])"
    r"(?:(?P<end>[\s/]*+>)|(?![\s/]*+[^\s/A-Za-z]))"
)
# The next attribute, or the tag's end. After a broken value (alt="a "b" c") its rest counts as
# names, as the standard says; but a `<` outside quotes is in no tag.
_ATTRIBUTE = re.compile(
    r"""[\s/]*+(?:(?P<end>>)|[^\s/<>][^\s/<>=]*+
    (?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'<>][^\s<>]*+|(?=>))|(?!\s*+=)))""",
    re.VERBOSE,
)
_COMMENT_END = re.compile("--!?>")
_DECLARATION = re.compile(
    r"<(?:!doctype\b|!\[(?:end)?if\b|\?[a-z])[^<>]*+>", re.IGNORECASE | re.ASCII
)
_CDATA = "<![CDATA["
_CLOSING = {
    name: re.compile(rf"</{name}(?=[\s/>])[^<>]*+>", re.IGNORECASE | re.ASCII) for name in _UNSEEN
}
_REFERENCE = re.compile(
    r"&(?:#(?P<decimal>[0-9]++)|#[xX](?P<hex>[0-9A-Fa-f]++)|(?P<name>[A-Za-z][A-Za-z0-9]*+))"
    r"(?P<end>;?)"
)
# Names that are resolved without `;` too. HTML has a hundred more, which in text that is not HTML
# are mostly something else: BTC&ETH, ?page=2&copy=1.
_BARE = frozenset(["amp", "gt", "laquo", "lt", "nbsp", "quot", "raquo"])
_LAST_POINT = 0x10FFFF
_REPLACEMENT = "\ufffd"
# References to C1 controls mean the windows-1252 characters (13.2.5.80).
_WINDOWS_1252 = {
    point: bytes([point]).decode("cp1252", "ignore") or chr(point) for point in range(0x80, 0xA0)
}
_LINE_END = r"(?:\r\n?|\n)"
_WRAP = re.compile(rf"{_LINE_END}(?P<more>(?:[^\S\r\n{_LINE}]*+{_LINE_END})*+)")
_BESIDE_BREAK = re.compile(rf"(?<={_LINE}){_LINE_END}|{_LINE_END}(?={_LINE})")


class Visible(NamedTuple):
    """What a reader sees: `offsets` lead to the raw text, None when the text is the raw text.

    `markup` are the raw spans of tags, comments and the like, in order; a span of a script or
    style includes its content. `captions` are those of what figcaption elements hold. Characters
    put in for a tag lead to the whole tag, those of a resolved reference to the whole reference.
    """

    text: str
    offsets: OffsetMap | None = None
    markup: Sequence[Span] = ()
    captions: Sequence[Span] = ()


def visible_text(raw: str) -> Visible:
    """What a reader of `raw`, which may be HTML, sees; time and memory are linear in its length."""
    if "<" not in raw and "&" not in raw:
        return Visible(raw)
    tokens = _Tokens(raw)
    edits: list[tuple[int, int, int]] = []
    pieces: list[str] = []
    markup: list[Span] = []
    at = done = 0
    while opening := _OPENING.search(raw, at):
        start = opening.start()
        is_reference = raw[start] == "&"
        kept_lines = tokens.preformatted
        end, shown = tokens.reference(start) if is_reference else tokens.markup(start)
        at = max(end, start + 1)
        if end == start:
            continue
        piece = raw[done:start]
        pieces += [_kept_lines(piece) if kept_lines else piece, shown]
        edits.append((start, end, len(shown)))
        if not is_reference:
            markup.append((start, end))
        done = end
    if not edits:
        return Visible(raw)
    pieces.append(_kept_lines(raw[done:]) if tokens.preformatted else raw[done:])
    text = "".join(pieces)
    if tokens.wrapping:
        text = _WRAP.sub(lambda run: run[0] if run["more"] else " " * len(run[0]), text)
    elif markup:  # a page's own line end behind <br> is no second one
        text = _BESIDE_BREAK.sub(lambda end: " " * len(end[0]), text)
    return Visible(text, OffsetMap.of_edits(len(raw), edits), markup, tokens.captions)


def with_markup(
    furniture: Sequence[Furniture], markup: Mapping[RawField, Sequence[Span]]
) -> tuple[Furniture, ...]:
    """The furniture and each field's markup, by field and place. Spans of markup that touch are
    one; what stands inside other furniture belongs to that.
    """
    found = list(furniture)
    for name, spans in markup.items():
        others = sorted((each.start, each.end) for each in furniture if each.field == name)
        found += [Furniture("markup", name, *span) for span in _outside(others, spans)]
    return tuple(sorted(found, key=lambda each: (each.field != "raw_title", each.start, each.end)))


def _outside(others: Sequence[Span], spans: Sequence[Span]) -> list[Span]:
    kept: list[Span] = []
    at = taken = 0
    for start, end in spans:
        while at < len(others) and others[at][0] <= start:
            taken = max(taken, others[at][1])
            at += 1
        if end <= taken:
            continue
        if kept and kept[-1][1] == start:
            start, _ = kept.pop()
        kept.append((start, end))
    return kept


class _Tokens:
    """Reads what begins at a place, and remembers what later places need to know.

    Work is linear in the text's length: an end that was not found once is not looked for again,
    and no two tags that come to nothing read the same attribute.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._unclosed: set[str] = set()
        self._tried: set[int] = set()
        self._in_cdata = False
        self._caption = 0  # where the content of the open figcaption begins
        self.captions: list[Span] = []
        self.preformatted = False
        self.wrapping = False

    def markup(self, start: int) -> tuple[int, str]:
        """Where the markup ends that begins at `start`, and what stands for it in the text; it ends
        at `start` when it is text.
        """
        tag = _TAG.match(self._text, start)
        if tag is None:
            return self._declaration(start), ""
        name = tag["name"].lower() if tag["name"] else ""
        if name and name not in _ELEMENTS:
            return start, ""
        end = tag.end() if tag["end"] else self._tag_end(tag.end())
        if not end:
            return start, ""
        if self._text[start + 1] == "/":
            self.preformatted &= name != "pre"
            if name == "figcaption" and self._caption:
                self.captions.append((self._caption, start))
                self._caption = 0
        else:
            self.preformatted |= name == "pre"
            self._caption = end if name == "figcaption" else self._caption
            self.wrapping |= name in _WRAPPING
            if name in _CLOSING and self._text[end - 2] != "/":
                end = self._past(name, _CLOSING[name], end) or end
        return end, _ELEMENTS.get(name, "")

    def _declaration(self, start: int) -> int:
        """Where a comment, a declaration or a wrapper of CDATA ends; `start` when it is none."""
        text = self._text
        if text.startswith("<!--", start):  # <!--> is one, too
            return self._past("--", _COMMENT_END, start + 2) or start
        if text.startswith(_CDATA, start):
            self._in_cdata = True
            return start + len(_CDATA)
        if text.startswith("]]>", start):
            end = start + 3 if self._in_cdata else start
            self._in_cdata = False
            return end
        found = _DECLARATION.match(text, start)
        return found.end() if found else start

    def reference(self, start: int) -> tuple[int, str]:
        """Where the character reference ends that begins at `start`, and its characters."""
        found = _REFERENCE.match(self._text, start)
        if found is None:
            return start, ""
        end = found.end()
        if decimal := found["decimal"]:
            return end, _character(decimal, 10)
        if digits := found["hex"]:
            return end, _character(digits, 16)
        name = found["name"]
        known = found["end"] or (name in _BARE and not self._text.startswith("=", end))
        shown = html5.get(f"{name};", "") if known else ""
        return (end, shown) if shown else (start, "")

    def _past(self, what: str, end: re.Pattern[str], start: int) -> int:
        """Where `what` ends; 0 when it does not."""
        if what in self._unclosed:
            return 0
        if found := end.search(self._text, start):
            return found.end()
        self._unclosed.add(what)
        return 0

    def _tag_end(self, at: int) -> int:
        """Where the tag ends whose attributes begin at `at`; 0 when it does not."""
        while at not in self._tried:
            self._tried.add(at)
            found = _ATTRIBUTE.match(self._text, at)
            if found is None:
                break
            at = found.end()
            if found["end"]:
                return at
        return 0


def _character(digits: str, base: int) -> str:
    """The character of a numeric reference, by the standard's rules for bad numbers."""
    digits = digits.lstrip("0")
    point = int(digits or "0", base) if len(digits) <= 7 else _LAST_POINT + 1
    if point == 0 or point > _LAST_POINT or 0xD800 <= point < 0xE000:
        return _REPLACEMENT
    return _WINDOWS_1252.get(point) or chr(point)


def _kept_lines(text: str) -> str:
    """Preformatted text, of the same length, whose line ends are no wraps."""
    return text.replace("\r\n", f" {_LINE}").replace("\n", _LINE).replace("\r", _LINE)
