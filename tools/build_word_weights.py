"""Make the table of what common words weigh, from texts that are not in the repository:

    python tools/build_word_weights.py [FOLDER]

FOLDER (default `../shared/data/ner`) holds `anercorp-train.bio.xz` and `wikifane-gold-fine.bio.xz`.
Writes `pipelines/stages/data/word_weights.tsv`. A word that is as likely as `p` weighs `-ln p`
nats, less `COMMON`, but never less than nothing or more than `RARE`: so the commonest fifty or so
weigh next to nothing, and every word that is not in the table weighs `RARE`.
"""

from __future__ import annotations

import lzma
import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipelines.stages.arabic.layers import match_text
from pipelines.stages.weights import DATA, RARE, UNITS

COMMON = 5.0  # nats
# Corpora, and whether one parts clitics from their words, as WikiFANE does.
CORPORA = {"anercorp-train.bio.xz": False, "wikifane-gold-fine.bio.xz": True}
PROCLITICS = frozenset("وفبلكس")
ENCLITICS = frozenset({"ها", "هم", "ه", "هما", "نا", "هن", "ي", "ك", "كم"})


def tokens(path: Path) -> list[str]:
    """The first column."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [line.split()[0] for line in lines if line.strip()]


def rejoined(parted: Iterable[str]) -> Iterator[str]:
    """Words with their clitics put back: و + قال to وقال, ل + البلد to للبلد, بيت + ها to بيتها."""
    word = before = ""
    for token in parted:
        if token in PROCLITICS:
            before += token
        elif token in ENCLITICS and word and not before:
            word += token
        else:
            if word:
                yield word
            if before.endswith("ل") and token.startswith("ال"):
                before, token = before[:-1], f"لل{token[2:]}"
            word, before = before + token, ""
    if word:
        yield word


def main() -> None:
    """Counts, weighs, writes."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/ner")
    counts: Counter[str] = Counter()
    for name, parted in CORPORA.items():
        words = tokens(folder / name)
        counts.update(match_text(" ".join(rejoined(words) if parted else words))[0].split())
    total = sum(counts.values())
    by_weight: dict[int, list[str]] = {}
    for word, count in counts.items():
        weight = round(max(0.0, -math.log(count / total) - COMMON) * UNITS)
        if weight < RARE * UNITS and not word.isdigit():
            by_weight.setdefault(weight, []).append(word)
    with (DATA / "word_weights.tsv").open("w", encoding="utf-8", newline="\n") as out:
        out.write(f"# weight in 1/{UNITS} nat, words; made by tools/build_word_weights.py\n")
        for weight, words in sorted(by_weight.items()):
            out.write(f"{weight}\t{' '.join(sorted(words))}\n")


if __name__ == "__main__":
    main()
