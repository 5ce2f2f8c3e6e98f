"""Identity of a page: which addresses are one, and which must stay apart."""

from __future__ import annotations

import json
import lzma
from collections import defaultdict
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.urls import canonical_url

PAGE = "khabar.example/news/7"

# Each rule with the addresses that it makes one page of.
ONE_PAGE = {
    "scheme": ["http://khabar.example/news/7", "//khabar.example/news/7"],
    "host case": ["HTTPS://KHABAR.example/news/7"],
    "host prefix": [
        "https://www.khabar.example/news/7",
        "https://m.khabar.example/news/7",
        "https://mobile.khabar.example/news/7",
        "https://www.m.khabar.example/news/7",
        "https://amp.khabar.example/news/7",
    ],
    "final dot": ["https://khabar.example./news/7"],
    "default port": [
        "https://khabar.example:443/news/7",
        "http://khabar.example:80/news/7",
        "http://khabar.example:443/news/7",
        "http://khabar.example:/news/7",
    ],
    "user": ["https://reader@khabar.example/news/7"],
    "slashes": ["https://khabar.example/news/7/", "https://khabar.example//news//7"],
    "fragment": [
        "https://khabar.example/news/7#comments",
        "https://khabar.example/news/7#:~:text=a",
        "https://khabar.example/news/7#!",
        "https://khabar.example/news/7#/",
    ],
    "empty query": ["https://khabar.example/news/7?", "https://khabar.example/news/7?&"],
    "needless escape": ["https://khabar.example/%6Eews/%37", "https://%6Bhabar.example/news/7"],
    "tracking": [
        "https://khabar.example/news/7?utm_source=x&UTM_Medium=y&fbclid=z&gclid=1",
        "https://khabar.example/news/7?at_medium=RSS&amp;at_campaign=x&amp;amp;maca=y",
    ],
    "session": [
        "https://khabar.example/news/7;jsessionid=0A1B.node2?PHPSESSID=3c",
        "https://khabar.example/news;JSESSIONID=0A1B/7",
        "https://khabar.example/(S(lit3py55t21z5v55vlm25s55))/news/7",
        "https://khabar.example/news/7?ASPSESSIONIDQQ=a&sessionid=b",
    ],
    "page for telephones": [
        "https://khabar.example/news/7/amp",
        "https://khabar.example/news/7/AMP/",
        "https://khabar.example/amp/news/7",
        "https://khabar.example/news/7.amp",
        "https://khabar.example/news/7?amp",
        "https://khabar.example/news/7?amp=1&outputType=amp",
    ],
    "invisible": [
        " https://khabar.example/news/7\n",
        "\u200f https://khabar.example/news/7\u202c",
        "https://khabar.example/news%E2%80%AC/7?utm_x=1",
    ],
}


@pytest.mark.parametrize("rule", ONE_PAGE)
def test_one_page_one_address(rule):
    """What tells not which page it is, makes no other page."""
    for url in ONE_PAGE[rule]:
        assert canonical_url(url) == PAGE, url


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/news/7", "/news/8"),
        ("/news/7", "/News/7"),
        ("/?id=7", "/?id=8"),
        ("/a?id=7", "/a?id=7&page=2"),
        ("/a?7", "/a?8"),
        ("/a?x=%26y=1", "/a?x=&y=1"),
        ("/a?x=%2541", "/a?x=A"),
        ("/a?x=1%2B1", "/a?x=1+1"),
        ("/a%3Fid=7", "/a?id=7"),
        ("/a%2F7", "/a/7"),
        ("/news?sid=7", "/news?sid=8"),
        ("/a?amp=7", "/a?amp=8"),
        ("/a?amp=7", "/a"),
        ("/tags/amp", "/tags"),
        ("/amp/tags", "/tags"),
        ("/amp", "/amp/7"),
        ("/7/amp/8", "/7/8"),
        ("/.amp", "/"),
        ("/#!/7", "/#!/8"),
        ("/#/7", "/#/8"),
        # قا and قب in Windows-1256, as old sites escape them: no UTF-8, and not one page.
        ("/%DE%C7", "/%DE%C8"),
        ("/a?q=%DE%C7", "/a?q=%DE%C8"),
    ],
)
def test_other_pages(one, other):
    """An unknown parameter, another value, path, escape or script page is another article."""
    site = "https://khabar.example"
    assert canonical_url(site + one) != canonical_url(site + other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("khabar.example", "akhbar.example"),
        ("khabar.example", "sport.khabar.example"),
        ("khabar.example", "khabar.example:8080"),
        ("khabar.example", "m-khabar.example"),
        ("m.example", "example.m"),
        ("m.example", "www.example"),
    ],
)
def test_other_sites(one, other):
    """Another host or port is another site; a prefix goes only where a host is left."""
    first, second = canonical_url(f"https://{one}/7"), canonical_url(f"https://{other}/7")
    assert None not in (first, second)
    assert first != second


@pytest.mark.parametrize(
    "host", ["خبر.example", "خبر。example", "%D8%AE%D8%A8%D8%B1.example", "XN--NGBLK.example"]
)
def test_arabic_host(host):
    """An Arabic host is the same in letters, escaped, and in Punycode."""
    assert canonical_url(f"https://www.{host}/7") == "xn--ngblk.example/7"


def test_arabic_path_and_its_escapes():
    """An Arabic path is the same written out, escaped, and decomposed."""
    written = canonical_url("https://khabar.example/أخبار")
    assert written == canonical_url("https://khabar.example/" + quote("أخبار").lower())
    assert written == canonical_url("https://khabar.example/" + quote("أخبار"))


def test_query_order():
    """The order of parameters makes no difference; a repeated one is kept twice."""
    assert canonical_url("https://a.example/p?b=2&a=1") == "a.example/p?a=1&b=2"
    assert canonical_url("https://a.example/p?a=2&a=1") == "a.example/p?a=1&a=2"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://khabar.example",
        "https://www.khabar.example/",
        "https://khabar.example//",
        "https://khabar.example/?utm_source=feed",
        "https://khabar.example/#top",
        "khabar.example/news/7",
        "/news/7",
        "mailto:desk@khabar.example",
        "ftp://khabar.example/news/7",
        "https://localhost/news/7",
        "https://[::ffff:192.0.2.1]/news/7",
        "https://kha bar.example/news/7",
        "https://khabar..example/news/7",
        "https://khabar.example/;jsessionid=0A1B",
        "https://khabar.example/#!/",
        "https://[::1/news",
        "https://khabar.example:port/news",
        "https://khabar.example/\ud800",
        "https://khabar.example/" + "a" * 8192,
    ],
)
def test_no_page(url):
    """A site's root, a relative or foreign address, and what is no URL name no article."""
    assert canonical_url(url) is None


def again(canonical: str) -> str | None:
    """The canonical address, canonicalised: it has no scheme, so it gets any of them."""
    found = {canonical_url(f"{scheme}//{canonical}") for scheme in ("https:", "http:", "")}
    assert len(found) == 1
    return found.pop()


hosts = st.from_regex(r"\A((www|m|amp|a1)\.){0,2}[a-zخ]{1,5}\.(example|net)\.?(:443|:8080)?\Z")
PIECES = """
amp 7 a Z .amp .html / %2f %25 %2 + ? = & &amp; ; # ! ~ ' ق %D9%82 %de %E2%80%8F %20
(S(a1)) ;jsessionid= %3Bjsessionid= utm_x sid SessionID
"""
pieces = st.lists(st.sampled_from([*PIECES.split(), "\udce1"]), max_size=8).map("".join)


@given(hosts, pieces, pieces, st.sampled_from(["", "#x", "#!", "#/", "#!/y%20", "#/%2f"]))
def test_idempotent(host, path, query, fragment):
    """The canonical address, asked again, is itself."""
    canonical = canonical_url(f"https://{host}/{path}?{query}{fragment}")
    if canonical is not None:
        assert again(canonical) == canonical
        assert canonical.isascii()


@given(st.text())
def test_any_text(text):
    """Any text gives none, or an address that is its own canonical address; nothing is raised."""
    for url in (text, f"https://{text}", f"https://a.example/{text}?{text}#!{text}"):
        canonical = canonical_url(url)
        assert canonical is None or again(canonical) == canonical


# An article's address as sites make them, and its other spellings.
slugs = st.from_regex(r"\A(article|أخبار|node)/[0-9]{1,7}(-[a-zخبر]{1,9})?\Z")
spellings = st.sampled_from(
    [
        "http://{page}",
        "https://www.{page}/",
        "//m.{page}?utm_source=rss",
        "https://amp.{page}#top",
        "HTTP://{page}/amp",
        "https://{page}?fbclid=1&PHPSESSID=2",
    ]
)


@given(slugs, slugs, spellings, spellings)
def test_spellings_of_a_page(one, other, first, second):
    """Two spellings are one address exactly when they are of one page."""
    spelled = [
        canonical_url(spelling.format(page=f"a.example/{quote(slug) if escape else slug}"))
        for slug, spelling, escape in ((one, first, True), (other, second, False))
    ]
    assert None not in spelled
    assert (spelled[0] == spelled[1]) == (one == other)


def test_real_addresses(shared):
    """No two of 15,042 articles of fourteen outlets have one address, however each is spelled."""
    with lzma.open(shared / "news" / "saudinewsnet-dev.jsonl.xz", "rt", encoding="utf-8") as lines:
        urls = [json.loads(line)["url"] for line in lines]
    pages = defaultdict(list)
    for url in urls:
        pages[canonical_url(url)].append(url)
    assert len(pages) == len(urls) == 15_042, [p for p in pages.values() if len(p) > 1][:5]
    assert None not in pages
    for page, (url,) in pages.items():
        secure = url.replace("http:", "https:", 1)
        sign = "&" if "?" in url else "?"
        assert canonical_url(f"{secure}{sign}utm_source=rss#top") == page
