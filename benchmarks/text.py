"""How fast Clean and Normalize are, next to a plain version of the two layers without offsets.

    python -m benchmarks.text [ARTICLES.jsonl[.xz]]

The ratio is the number to compare: both run on the same core in the same minute.
"""

import json
import lzma
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.records import Article
from pipelines.stages.clean import clean
from pipelines.stages.normalize import normalize

ARTICLES = 2000
ROUNDS = 5
SAMPLES = Path(__file__).parent.parent / "samples" / "articles.jsonl"

_REMOVED = re.compile("[\x00-\x08\x0e-\x1f\u200b\u2060\ufeff\u00ad\u200e\u200f\u061c\u202a-\u202e]")
_MARKS = re.compile("[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u08d3-\u08ff\u0640]")
_FORMS = re.compile("[\ufb50-\ufdf9\ufdfc\ufe70-\ufefc]+")
_FOLDS = [("[أإآٱ]", "ا"), ("[ىیې]", "ي"), ("ة", "ه"), ("[کگ]", "ك"), ("[ؤئ]", "ء")]
_FOLDS += [(f"[{chr(0x660 + digit)}{chr(0x6F0 + digit)}]", str(digit)) for digit in range(10)]
_FOLDED = [(re.compile(pattern), to) for pattern, to in _FOLDS]


def plain(article: Article) -> tuple[str, str]:
    """Display and match layer by `re` and `str` alone, as one would first write them."""
    text = f"{article.raw_title}\n{article.raw_body}"
    text = re.sub("\r\n|[\r\x85\u2028\u2029]", "\n", text)
    text = unicodedata.normalize("NFC", _REMOVED.sub("", text))
    text = _FORMS.sub(lambda form: unicodedata.normalize("NFKC", form.group()), text)
    text = re.sub(r"[^\S\n]+", " ", text)
    display = re.sub(r" ?\n[ \n]*", "\n\n", text).strip()
    text = _MARKS.sub("", unicodedata.normalize("NFKC", display).casefold())
    for pattern, to in _FOLDED:
        text = pattern.sub(to, text)
    return display, " ".join(re.findall(r"\w+", text))


def read(path: Path) -> list[Article]:
    """The first articles of a JSON Lines file; lines that are no article are passed over."""
    articles = []
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as lines:
        for line in lines:
            try:
                fields = json.loads(line)
                fields = fields.get("message", fields)
                title, body = fields.get("title") or "", fields["body"]
                (title + body).encode()
            except (ValueError, KeyError, AttributeError, TypeError):
                continue
            articles.append(Article("x", raw_title=title, raw_body=body))
            if len(articles) == ARTICLES:
                break
    return articles


def seconds(work: Callable[[Article], object], articles: Sequence[Article]) -> float:
    start = time.perf_counter()
    for article in articles:
        work(article)
    return time.perf_counter() - start


def main(path: Path = SAMPLES) -> None:
    articles = read(path)
    megabytes = sum(len((a.raw_title + a.raw_body).encode()) for a in articles) / 1e6
    works = {"plain": plain, "clean": clean, "clean+normalize": lambda a: normalize(clean(a))}
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):  # in turn, so that a slow minute slows all of them
        for name, work in works.items():
            best[name] = min(best[name], seconds(work, articles))
    print(f"{len(articles)} articles, {megabytes:.1f} MB of UTF-8")
    for name, time_taken in best.items():
        ratio = best["plain"] / time_taken
        print(f"{name:16} {megabytes / time_taken:6.1f} MB/s   {ratio:4.2f} × plain")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
