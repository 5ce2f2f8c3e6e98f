"""One spelling for the many addresses of one page: what `article_id` is made of."""

from __future__ import annotations

import unicodedata
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import regex

# Parameters that say how a reader came to a page, not which page it is. Names seen in the links of
# feeds, mailings and the large ad and social networks; everything else stays, because on many
# Arabic news sites the query alone names the article.
TRACKING_PARAMETERS = frozenset(
    {
        "fbclid",
        "gclid",
        "gclsrc",
        "gad_source",
        "dclid",
        "gbraid",
        "wbraid",
        "srsltid",
        "msclkid",
        "yclid",
        "twclid",
        "ttclid",
        "igshid",
        "igsh",
        "mc_cid",
        "mc_eid",
        "mkt_tok",
        "_hsenc",
        "_hsmi",
        "_ga",
        "_gl",
        "cmpid",
        "ncid",
        "ocid",
        "maca",  # Deutsche Welle's feeds
        "traffic_source",  # Al Jazeera's feeds
        "xtor",
        "ref_src",
        "ref_url",
        "s_cid",
        "spm",
        "share_source",
        "share_medium",
        "__twitter_impression",
        "amp_js_v",
        "usqp",
        "guccounter",
        "guce_referrer",
        "guce_referrer_sig",
    }
)
TRACKING_PREFIXES = ("utm_", "pk_", "mtm_", "hsa_", "at_")

# Who reads, not what. `sid` is none of them: on PHP-Nuke sites it is the story's number.
SESSION_PARAMETERS = frozenset({"jsessionid", "phpsessid", "sessionid", "session_id", "cftoken"})
SESSION_PREFIXES = ("aspsessionid",)
# The session in a path: Java's `/7;jsessionid=0A1B`, and ASP.NET's step before the page,
# `/(S(lit3py55t21z5v55vlm25s55))/7`.
_JAVA_SESSION = regex.compile(r"(?i);jsessionid=[^/;]*")
_ASP_SESSION = regex.compile(r"(?i)\([ASF]\([a-z0-9-]+\)\)")

# The page for telephones: `?amp`, `?amp=1`, `?outputType=amp`.
_AMP_PARAMETERS = {"amp": ("", "1", "true"), "outputtype": ("amp",)}
# `/7.amp` and `/7.amp.html`.
_AMP_ENDING = regex.compile(r"(?i)(?<=.)\.amp(?=(?:\.html?)?$)")
# Characters that need no escape in a path, and a slash that is escaped since it parts no steps.
_IN_PATH = "/:@!$&'()*+,;="
_ESCAPED_SLASH = regex.compile("(?i)%2f")
# What looks like an article's name: `/news/7/amp` is a page for telephones, `/tags/amp` is none.
_ARTICLE_NAME = regex.compile(r"[\d%_.-]")

# Characters; browsers and servers take 2,000 to 8,000.
_LONGEST = 8192
_HOST = regex.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_HOST_PREFIXES = ("www.", "m.", "mobile.", "amp.")
_DEFAULT_PORTS = (None, 80, 443)
# Invisible signs that steer the direction of a text, and get into links that are copied from one.
_DIRECTION = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
_ANY_DIRECTION = regex.compile(f"[{_DIRECTION}]")
# Feeds that escape their links twice.
_ESCAPED_AMPERSAND = regex.compile(r"&(?:amp;)+")


def canonical_url(url: str) -> str | None:
    """The page's one address without its scheme, or None when `url` names no page.

    No difference make: `http` and `https`; `www.`, `m.` and `amp.`; the page for telephones; the
    host's case, final dot, default port and spelling (Arabic or Punycode); an empty step in the
    path, a trailing slash; a fragment; percent escapes and their case; the order of parameters;
    session ids; tracking parameters. Any other parameter names the page. A site's root names no
    article: many feeds send it in place of a missing link.
    """
    if len(url) > _LONGEST:
        return None
    try:
        return _canonical(url.strip(_DIRECTION).strip())
    except ValueError:  # an open bracket, a port that is no number, half of a surrogate pair
        return None


def _canonical(url: str) -> str | None:
    parts = urlsplit(url)
    host = _host(parts.hostname or "")
    if parts.scheme not in ("http", "https", "") or not _HOST.fullmatch(host):
        return None
    if parts.port not in _DEFAULT_PORTS:
        host = f"{host}:{parts.port}"
    path = "".join(f"/{step}" for step in _steps(parts.path))
    query = "&".join(
        f"{_quote(name)}={_quote(value)}"
        for name, value in sorted(
            parse_qsl(_ESCAPED_AMPERSAND.sub("&", parts.query), True, errors="surrogateescape")
        )
        if _names_page(name.lower(), value.lower())
    )
    # `#!` and `#/` fragments are pages of their own on sites that are one script.
    fragment = _escape(parts.fragment, "!/") if parts.fragment.startswith(("!", "/")) else ""
    if not fragment.strip("!/"):
        fragment = ""
    if not path and not query and not fragment:
        return None
    return f"{host}{path}{'?' if query else ''}{query}{'#' if fragment else ''}{fragment}"


def _host(name: str) -> str:
    """The host in its Punycode spelling, without the prefixes of one site's other faces."""
    host = name.rstrip(".")
    if not _HOST.fullmatch(host):
        host = unquote(host, errors="strict").encode("idna").decode("ascii").lower()
    while host.startswith(_HOST_PREFIXES) and host.count(".") > 1:
        host = host.partition(".")[2]
    return host


def _steps(path: str) -> list[str]:
    """The path's steps, escaped, without a session's id and what asks for another look of it."""
    escaped = "%2F".join(_escape(each, _IN_PATH) for each in _ESCAPED_SLASH.split(path))
    steps = list(filter(None, _JAVA_SESSION.sub("", escaped).split("/")))
    steps = [step for step in steps[:-1] if not _ASP_SESSION.fullmatch(step)] + steps[-1:]
    while steps:
        if _AMP_ENDING.search(steps[-1]):
            steps[-1] = _AMP_ENDING.sub("", steps[-1])
        elif len(steps) > 1 and steps[-1].lower() == "amp" and _ARTICLE_NAME.search(steps[-2]):
            steps.pop()
        elif steps[0].lower() == "amp" and _ARTICLE_NAME.search(steps[-1]):
            del steps[0]
        else:
            break
    return steps


def _names_page(name: str, value: str) -> bool:
    """Whether a parameter, in lower case, says which page it is."""
    return not (
        name in TRACKING_PARAMETERS
        or name.startswith(TRACKING_PREFIXES)
        or name in SESSION_PARAMETERS
        or name.startswith(SESSION_PREFIXES)
        or value in _AMP_PARAMETERS.get(name, ())
    )


def _escape(text: str, safe: str = "") -> str:
    """`text` with exactly one percent spelling for each character.

    Escapes that are no UTF-8 keep their bytes: old Arabic sites escape in Windows-1256.
    """
    plain = unquote(text, errors="surrogateescape")
    return _quote(plain if plain.isascii() else _ANY_DIRECTION.sub("", plain), safe)


def _quote(text: str, safe: str = "") -> str:
    return quote(unicodedata.normalize("NFC", text), safe, errors="surrogateescape")
