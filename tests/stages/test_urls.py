from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.urls import canonical_url

PAGE = "khabar.example/news/7"


@pytest.mark.parametrize(
    "url",
    [
        "https://khabar.example/news/7",
        "http://khabar.example/news/7",
        "HTTPS://KHABAR.example/news/7",
        "https://www.khabar.example/news/7",
        "https://m.khabar.example/news/7",
        "https://www.m.khabar.example/news/7",
        "https://amp.khabar.example/news/7",
        "https://khabar.example/news/7/",
        "https://khabar.example/news/7#comments",
        "https://khabar.example/news/7?",
        "https://khabar.example:443/news/7",
        "http://khabar.example:80/news/7",
        "https://khabar.example./news/7",
        "https://reader@khabar.example/news/7",
        "https://khabar.example/%6Eews/7",
        " https://khabar.example/news/7\n",
        "https://khabar.example/news/7?utm_source=x&UTM_Medium=y&fbclid=z&gclid=1",
    ],
)
def test_one_page_one_address(url):
    """Scheme, host spelling, port, fragment, escapes and tracking make no other page."""
    assert canonical_url(url) == PAGE


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
        ("/#!/7", "/#!/8"),
        # قا and قب in Windows-1256, as old sites escape them: no UTF-8, and not one page.
        ("/%DE%C7", "/%DE%C8"),
        ("/a?q=%DE%C7", "/a?q=%DE%C8"),
    ],
)
def test_other_pages(one, other):
    """An unknown parameter, another value, path, escape or script page is another article."""
    site = "https://khabar.example"
    assert canonical_url(site + one) != canonical_url(site + other)


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
        "https://[::1/news",
        "https://khabar.example:port/news",
        "https://khabar.example/\ud800",
        "https://khabar.example/" + "a" * 8192,
    ],
)
def test_no_page(url):
    """A site's root, a relative or foreign address, and what is no URL name no article."""
    assert canonical_url(url) is None


hosts = st.from_regex(r"\A((www|m|amp|a1)\.){0,2}[a-z]{1,5}\.(example|net)\Z")
pieces = st.text("aZ7%25+ /?=&;#!ق~.'\udce1", max_size=12)


@given(hosts, pieces, pieces, st.sampled_from(["", "#x", "#!/y%20"]))
def test_idempotent(host, path, query, fragment):
    """The canonical address, asked again, is itself."""
    canonical = canonical_url(f"https://{host}/{path}?{query}{fragment}")
    if canonical is not None:
        assert canonical_url(f"https://{canonical}") == canonical
        assert canonical.isascii()


@given(st.text())
def test_any_text(text):
    """Any text gives none, or an address that is its own canonical address; nothing is raised."""
    for url in (text, f"https://{text}", f"https://a.example/{text}?{text}#!{text}"):
        canonical = canonical_url(url)
        assert canonical is None or canonical_url(f"https://{canonical}") == canonical
