"""How often the language gate is right, by the length of the text, and how long it takes.

    python -m benchmarks.language MEDIAWIKI [--articles ARTICLES.jsonl[.xz]] [--development]

MEDIAWIKI is the folder of a MediaWiki (Debian's package mediawiki 1.39.17: usr/share/mediawiki),
whose messages are translated into all these languages. Half of the messages and articles were
looked at while the tables were written (--development); the figures are for the other half. Where
lingua is installed (`pip install lingua-language-detector`), it is asked about the same texts,
choosing among the languages of the gate that it knows.
"""

import argparse
import hashlib
import html
import json
import lzma
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

from pipelines.stages.arabic.language import language_of

LENGTHS = (20, 50, 100, 500)  # characters
TEXTS = 600  # of each language and length, at most
# MediaWiki's code, ours. Egyptian is Arabic to the gate.
ARABIC_SCRIPT = {"ar": "ar", "arz": "ar", "fa": "fa", "ur": "ur", "ckb": "ckb", "ps": "ps"}
ARABIC_SCRIPT |= {"ug-arab": "ug", "sd": "sd", "azb": "az", "ks-arab": "ks"}
LATIN = {"en": "en", "fr": "fr", "de": "und", "es": "und", "it": "und", "nl": "und", "tr": "und"}
LATIN |= {"ku-latn": "und"}

_SPLIT = "mw/usr/share/mediawiki/"  # seed: another one would mix what was looked at with the rest
_MARKUP = (
    (re.compile(r"\{\{(?:PLURAL|GENDER):[^|{}]*\|([^|{}]*)[^{}]*\}\}", re.IGNORECASE), r"\1"),
    (re.compile(r"\{\{[^{}]*\}\}"), " "),
    (re.compile(r"\[\[(?:[^|\]]*\|)?([^\]]*)\]\]"), r"\1"),
    (re.compile(r"\[https?://\S+ ([^\]]*)\]"), r"\1"),
    (re.compile(r"<[^>]*>|https?://\S+|\$\d+|\{[^}]*\}|''+|[*#=|_]+"), " "),
)
_ARABIC_LETTER = re.compile("[\u0620-\u06ff\u0750-\u077f]")
_KEYS = {
    "ar, Persian keys": ("ar", str.maketrans("كيى", "کیی")),
    "ar, Urdu keys": ("ar", str.maketrans("كيىهة", "کییہۃ")),
    "fa, Arabic keys": ("fa", str.maketrans("کی", "كي")),
}


def in_half(name: str, development: bool) -> bool:
    return (hashlib.sha256(name.encode()).digest()[0] % 2 == 0) == development


def messages(root: Path, language: str, development: bool) -> list[str]:
    """The messages of one half that are in the language's own script, without wiki markup."""
    share = 0.85 if language in ARABIC_SCRIPT else 0
    found = {}
    for path in sorted(root.glob(f"**/i18n/**/{language}.json")):
        folder = _SPLIT + path.parent.relative_to(root).as_posix()
        for key, text in json.loads(path.read_text(encoding="utf-8")).items():
            if not isinstance(text, str) or not in_half(folder + key, development):
                continue
            for pattern, plain in _MARKUP:
                text = pattern.sub(plain, text)
            text = " ".join(html.unescape(text).split())
            letters = [letter for letter in text if letter.isalpha()]
            arabic = sum(map(bool, map(_ARABIC_LETTER.match, letters)))
            own = arabic >= share * len(letters) if share else not arabic
            if len(letters) >= 8 and len(text.split()) >= 3 and own:
                found[text] = None
    return list(found)


def windows(texts: Iterable[str], length: int) -> list[str]:
    """Texts of at most `length` characters, each from the start of a message to a word's end."""
    found, text = [], ""
    for message in texts:
        text = f"{text} {message}".strip()
        if len(text) > length:
            found.append(text[: length + 1].rsplit(" ", 1)[0])
            text = ""
    return found[:: max(1, len(found) // TEXTS)][:TEXTS]


def news(path: Path, development: bool) -> tuple[list[str], list[str]]:
    """The titles and bodies of a half of the articles."""
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as lines:
        articles = [json.loads(line) for line in lines]
    articles = [article for article in articles if in_half(article["id"], development)]
    titles = [article["title"] for article in articles if article["title"]]
    return titles, [" ".join(article["body"].split()) for article in articles]


def lingua() -> Callable[[str], str] | None:
    try:
        from lingua import Language, LanguageDetectorBuilder
    except ImportError:
        return None
    known = ("ARABIC", "PERSIAN", "URDU", "ENGLISH", "FRENCH")
    names = [getattr(Language, name) for name in known]
    detector = LanguageDetectorBuilder.from_languages(*names).build()

    def ask(text: str) -> str:
        found = detector.detect_language_of(text)
        return found.iso_code_639_1.name.lower() if found else "und"

    ask("warm up")
    return ask


def show(name: str, right: str, columns: dict[str, list[str]], ask: Callable[[str], str]) -> None:
    """One line: how much of each column is right, and what the rest was taken for."""
    cells, wrong = [], Counter[str]()
    for texts in columns.values():
        found = Counter(map(ask, texts))
        cells.append(f"{100 * found.pop(right, 0) / len(texts):6.1f}" if texts else "     –")
        wrong += found
    others = ", ".join(f"{code} {count}" for code, count in wrong.most_common(3))
    counts = "/".join(str(len(texts)) for texts in columns.values())
    print(f"{name:18} {' '.join(cells)}   {counts:16} {others}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("mediawiki", type=Path, nargs="?")
    parser.add_argument("--articles", type=Path)
    parser.add_argument("--development", action="store_true")
    options = parser.parse_args()
    if options.mediawiki is None:
        print("no folder of MediaWiki's messages named; skipped")
        return
    texts = {
        language: messages(options.mediawiki, language, options.development)
        for language in ARABIC_SCRIPT | LATIN
    }
    samples = {
        language: {str(length): windows(all_, length) for length in LENGTHS}
        for language, all_ in texts.items()
    }
    codes = ARABIC_SCRIPT | LATIN
    if options.articles:
        titles, bodies = news(options.articles, options.development)
        codes |= {"ar news": "ar", "ar headlines": "ar"}
        samples["ar news"] = {
            str(length): [body[:length].rsplit(" ", 1)[0] for body in bodies if len(body) > length]
            for length in LENGTHS
        }
        samples["ar headlines"] = {"all": titles}
    for name, (language, keys) in _KEYS.items():
        codes[name] = language
        source = "ar news" if language == "ar" and options.articles else language
        samples[name] = {
            column: [text.translate(keys) for text in column_texts]
            for column, column_texts in samples[source].items()
        }
    gates = {"language gate": language_of}
    if peer := lingua():
        gates["lingua, of ar fa ur en fr"] = peer
    for gate, ask in gates.items():
        print(f"{gate}: % right at {', '.join(map(str, LENGTHS))} characters; texts; taken for")
        for name, columns in samples.items():
            if ask is language_of or codes[name] in ("ar", "fa", "ur", "en", "fr"):
                show(name, codes[name], columns, ask)
        texts_of_500 = list(
            islice((text for s in samples.values() for text in s.get("500", ())), 2000)
        )
        start = time.perf_counter()
        for text in texts_of_500:
            ask(text)
        each = (time.perf_counter() - start) / len(texts_of_500) * 1e6
        print(f"{each:.0f} µs a text of 500 characters\n")


if __name__ == "__main__":
    main()
