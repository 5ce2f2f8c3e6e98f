"""How fast the text stages are, next to a plain version of the two layers and to camel-tools; and
what their offset maps cost.

    python -m benchmarks.text [ARTICLES.jsonl[.xz]]

The ratios are the numbers to compare: all run on the same core in the same minute. The plain
version and camel-tools give no offsets. camel-tools' functions are those that do the nearest to the
match layer: Unicode, harakat, alef, alef maksura and teh marbuta. They leave out the display layer,
controls and bidi marks, tatweel, digits, punctuation, case, ؤ ئ, the letters of other keyboards,
clitics before quotes, formulas, and all that Clean finds: parts, dates, language, cues.

Articles are decoded as in the pipeline: with author, source and time. What the stages remember of
names is emptied before each round, so that none is known before it comes.
"""

import gc
import json
import lzma
import re
import sys
import time
import tracemalloc
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from camel_tools.utils.dediac import dediac_ar
from camel_tools.utils.normalize import (
    normalize_alef_ar,
    normalize_alef_maksura_ar,
    normalize_teh_marbuta_ar,
    normalize_unicode,
)

from pipelines.offsets import OffsetMap
from pipelines.records import Article, Origin, RawMessage, StageError
from pipelines.stages.arabic import credits
from pipelines.stages.arabic.layers import display_text, match_text
from pipelines.stages.clean import clean
from pipelines.stages.decode import decode
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


def camel(article: Article) -> str:
    """camel-tools' own functions that do the nearest equal work."""
    text = dediac_ar(normalize_unicode(f"{article.raw_title}\n{article.raw_body}"))
    text = normalize_alef_maksura_ar(normalize_alef_ar(text))
    return normalize_teh_marbuta_ar(text)


def layers(article: Article) -> None:
    """Both layers, of what Clean and Normalize make them of, with their offsets."""
    for raw in (article.raw_title, article.raw_body):
        match_text(display_text(raw)[0])


def read(path: Path) -> list[Article]:
    """The first articles of a JSON Lines file; lines that are no article are passed over."""
    articles = []
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as lines:
        for line in lines:
            try:
                fields = json.loads(line)
                value = json.dumps(fields.get("message", fields)).encode()
                message = RawMessage(Origin("", 0, 0, 0), None, value)
                articles.append(decode(message, lambda _: None))
            except (ValueError, AttributeError, StageError):
                continue
            if len(articles) == ARTICLES:
                break
    return articles


def seconds(work: Callable[[Article], object], articles: Sequence[Article]) -> float:
    for memo in (credits._fold, credits._entry, credits.read_credit, credits.read_author):
        memo.cache_clear()
    start = time.perf_counter()
    for article in articles:
        work(article)
    return time.perf_counter() - start


def map_bytes(article: Article) -> tuple[int, int]:
    """The bytes of the maps from the display layer to the raw text, and its characters."""
    display = article.display
    passages = (display.title, display.standfirst, display.body)
    maps = [passage.offsets for passage in passages]
    arrays = [array for each in maps for array in (each.starts, each.widths) if array is not None]
    return sum(array.nbytes for array in arrays), sum(len(passage.text) for passage in passages)


def live_maps() -> int:
    gc.collect()
    return sum(isinstance(each, OffsetMap) for each in gc.get_objects())


def print_memory(articles: Sequence[Article]) -> None:
    costs = [map_bytes(clean(article)) for article in articles]
    total, characters = (sum(column) for column in zip(*costs, strict=True))
    dearest = max(cost / size for cost, size in costs if size)
    print(f"offset maps: {total / characters:.2f} bytes a display character, {dearest:.2f} at most")
    maps = live_maps()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for article in articles:
        normalize(clean(article))
    kept = live_maps() - maps
    more = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    print(f"kept after the articles: {kept} maps; all memory together {more:+,} bytes")


def main(path: Path = SAMPLES) -> None:
    articles = read(path)
    megabytes = sum(len((a.raw_title + a.raw_body).encode()) for a in articles) / 1e6
    works: dict[str, Callable[[Article], object]] = {
        "plain layers": plain,
        "camel-tools": camel,
        "both layers": layers,
        "clean": clean,
        "clean + normalize": lambda article: normalize(clean(article)),
    }
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):  # in turn, so that a slow minute slows all of them
        for name, work in works.items():
            best[name] = min(best[name], seconds(work, articles))
    print(f"{len(articles)} articles, {megabytes:.1f} MB of UTF-8")
    for name, taken in best.items():
        ratios = (best["plain layers"] / taken, best["camel-tools"] / taken)
        print(
            f"{name:18}{megabytes / taken:6.1f} MB/s   {ratios[0]:5.2f} × plain"
            f"   {ratios[1]:5.2f} × camel-tools"
        )
    print_memory(articles)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
