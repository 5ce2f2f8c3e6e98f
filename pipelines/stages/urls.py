"""One spelling for the many addresses of one page: what `article_id` is made of."""

from __future__ import annotations

import unicodedata
from urllib.parse import parse_qsl, quote, unquote, urlsplit

# Parameters that say how a reader came to a page, not which page it is. Names seen in the links of
# feeds, mailings and the large ad and social networks; everything else stays, because on many
# Arabic news sites the query alone names the article.
TRACKING_PARAMETERS = frozenset(
    {
        "fbclid",
        "gclid",
        "dclid",
        "gbraid",
        "wbraid",
        "msclkid",
        "yclid",
        "twclid",
        "ttclid",
        "igshid",
        "igsh",
        "mc_cid",
        "mc_eid",
        "_ga",
        "_gl",
        "cmpid",
        "ncid",
        "ocid",
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
TRACKING_PREFIXES = ("utm_", "pk_", "mtm_", "hsa_", "at_medium", "at_campaign")

# Characters; browsers and servers take 2,000 to 8,000.
_LONGEST = 8192
_HOST_PREFIXES = ("www.", "m.", "mobile.", "amp.")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def canonical_url(url: str) -> str | None:
    """The page's one address without its scheme, or None when `url` names no page.

    `http` and `https`, `www.` and `m.`, a trailing slash, a fragment, the case of the host, percent
    escapes and tracking parameters make no difference. A site's root names no article: many feeds
    send it in place of a missing link.
    """
    if len(url) > _LONGEST:
        return None
    try:
        return _canonical(url.strip())
    except ValueError:  # an open bracket, a port that is no number, half of a surrogate pair
        return None


def _canonical(url: str) -> str | None:
    parts = urlsplit(url)
    port = parts.port
    scheme = parts.scheme.lower()
    host = unicodedata.normalize("NFC", (parts.hostname or "").rstrip("."))
    if scheme not in _DEFAULT_PORTS or "." not in host:
        return None
    while host.startswith(_HOST_PREFIXES) and host.count(".") > 1:
        host = host.partition(".")[2]
    if port is not None and port != _DEFAULT_PORTS[scheme]:
        host = f"{host}:{port}"
    path = _escape(parts.path, "/:@!$&'()*+,;=").rstrip("/")
    query = "&".join(
        f"{_quote(name)}={_quote(value)}"
        for name, value in sorted(parse_qsl(parts.query, True, errors="surrogateescape"))
        if not _is_tracking(name)
    )
    # `#!` fragments are pages of their own on sites that are one script.
    fragment = f"#{_escape(parts.fragment, '!/')}" if parts.fragment.startswith("!") else ""
    if not path and not query and not fragment:
        return None
    return f"{host}{path}{'?' if query else ''}{query}{fragment}"


def _is_tracking(name: str) -> bool:
    lowered = name.lower()
    return lowered in TRACKING_PARAMETERS or lowered.startswith(TRACKING_PREFIXES)


def _escape(text: str, safe: str = "") -> str:
    """`text` with exactly one percent spelling for each character.

    Escapes that are no UTF-8 keep their bytes: old Arabic sites escape in Windows-1256.
    """
    return _quote(unquote(text, errors="surrogateescape"), safe)


def _quote(text: str, safe: str = "") -> str:
    return quote(unicodedata.normalize("NFC", text), safe, errors="surrogateescape")
