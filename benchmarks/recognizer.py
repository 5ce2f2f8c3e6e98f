"""How well the default recognizer finds names, and what each part of it adds:

    python -m benchmarks.recognizer [--shared PATH] [--parts | --peer]

Five contiguous blocks of the train side of ANERcorp, each labelled by a model of the other four;
exact spans and classes. Without an option the shipped settings (15 minutes on one core); `--parts`
adds one part after the other (an hour); `--peer` is python-crfsuite with plain features, and the
speed of its tagger with the features that the shipped model looks at for a word, made beforehand.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks._news import data_folder, shared_option
from pipelines.stages.recognizer import CLASSES, LABELS, MODEL, Recognizer, viterbi
from tools.train_recognizer import (
    BIAS,
    TEMPLATES,
    WAYS,
    Block,
    Lexicon,
    Sentence,
    blocks_of,
    cross_trained,
    read_anercorp,
    read_lists,
    read_wikifane,
    second_pass,
    train_evidence,
)

# What is left out, by row: first letters of features, names of templates.
KINDS = frozenset(name for name in TEMPLATES if name.startswith("kind"))
PAIRS = frozenset(("word-before", "word-next"))
LISTS = frozenset("@")
CLUSTERS = frozenset(("k", "cluster-before", "cluster-next", "cluster-around"))
PHRASES = frozenset(("phrase", "phrase-before", "phrase-next"))
ROWS = (
    ("words, beginnings, ends, gaps", frozenset("st") | KINDS | PAIRS | LISTS | CLUSTERS | PHRASES),
    ("+ forms without proclitics, pairs of words", KINDS | LISTS | CLUSTERS | PHRASES),
    ("+ lists", KINDS | CLUSTERS),
    ("+ kinds of words beside each other", CLUSTERS),
    ("+ clusters", frozenset[str]()),
)

Spans = Sequence[tuple[int, int, str]]


def scores(pairs: Iterable[tuple[Spans, Spans]]) -> dict[str, tuple[float, float, float]]:
    """Precision, recall and F1 by class, of all (micro), and F1's mean of the classes (macro)."""
    right, found, there = Counter(), Counter(), Counter()
    for gold, given in pairs:
        found.update(kind for *_, kind in given)
        there.update(kind for *_, kind in gold)
        right.update(kind for *_, kind in set(gold) & set(given))
    rows = {kind: _rates(right[kind], found[kind], there[kind]) for kind in CLASSES}
    micro = _rates(right.total(), found.total(), there.total())
    macro = sum(row[2] for row in rows.values()) / len(rows)
    return {**rows, "micro": micro, "macro": (0.0, 0.0, macro)}


def _rates(right: int, found: int, there: int) -> tuple[float, float, float]:
    precision, recall = right / max(found, 1), right / max(there, 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def show(name: str, pairs: Iterable[tuple[Spans, Spans]]) -> None:
    rows = scores(pairs)
    cells = " ".join(
        f"{kind} {'/'.join(f'{value:.3f}' for value in rows[kind])}" for kind in (*CLASSES, "micro")
    )
    print(f"{name:45} {cells} macro {rows['macro'][2]:.3f}", flush=True)


def judged(blocks: Sequence[Block], labels: Sequence[Sequence[int]]) -> list[tuple[Spans, Spans]]:
    """Each sentence's names as they are and as they were found."""
    pairs: list[tuple[Spans, Spans]] = []
    for block, found in zip(blocks, labels, strict=True):
        problem = block.problem
        for sentence, start, size in zip(
            problem.sentences, problem.starts, problem.lengths, strict=True
        ):
            pairs.append((sentence.gold, sentence.named(found[start : start + size])))
    return pairs


def first_passes(blocks: Sequence[Block], bias: bool) -> list[Sequence[int]]:
    """The blocks' labels without what mentions say of each other."""
    return [
        viterbi(block.scores if bias else block.scores - BIAS, block.transitions)
        for block in blocks
    ]


def both_passes(blocks: Sequence[Block]) -> list[Sequence[int]]:
    """The blocks' labels, the second pass of each trained on the other four."""
    return [
        second_pass(block, train_evidence([other for other in blocks if other is not block]))
        for block in blocks
    ]


def peer(sentences: Sequence[Sentence]) -> None:
    """python-crfsuite: its tagger's speed beside ours, and F1 with plain features."""
    import pycrfsuite

    recognizer = Recognizer()
    with np.load(MODEL) as stored:
        lexicon = Lexicon.of_model(stored)

    def plain(sentence: Sentence) -> list[list[str]]:
        words, gaps = ["", "", *sentence.words, "", ""], sentence.gaps
        return [
            [f"{by}{words[at + 2 + by]}" for by in range(-2, 3)]
            + [name for name in lexicon.features(words[at + 2]) if name[0] in "pqnd"]
            + [f"gap{gaps[at]}"]
            for at in range(len(sentence.words))
        ]

    def equal(sentence: Sentence) -> list[list[str]]:
        """What the shipped model sums up for a word: its features and its neighbours'."""
        names = [lexicon.features(word) for word in sentence.words]
        rows = []
        for at in range(len(names)):
            row = list(names[at])
            for by, way in ((-2, "far"), (-1, "near"), (1, "near"), (2, "far")):
                if 0 <= at + by < len(names):
                    row += [f"{by}{name}" for name in names[at + by] if WAYS[way].match(name)]
            rows.append(row)
        return rows

    def tagger_of(part: Sequence[Sentence], features: Features, rounds: int) -> Any:
        trainer = pycrfsuite.Trainer(verbose=False)
        trainer.set_params({"c1": 0.0, "c2": 1.0, "max_iterations": rounds})
        for sentence in part:
            trainer.append(features(sentence), [LABELS[label] for label in sentence.labels])
        with tempfile.NamedTemporaryFile() as file:
            trainer.train(file.name)
            tagger = pycrfsuite.Tagger()
            tagger.open(file.name)
        return tagger

    # Ten rounds do not make a good model, but one of the same size.
    tagger = tagger_of(sentences, equal, 10)
    some = sentences[:600]
    size = sum(len(sentence.words) for sentence in some)
    rows = [equal(sentence) for sentence in some]
    texts = [some[at : at + 20] for at in range(0, len(some), 20)]
    Recognizer().find(texts[0])  # compiles, or reads what was compiled
    for _ in range(3):  # the first round meets every word for the first time
        start = time.process_time()
        for text in texts:
            recognizer.find(text)
        ours = size / (time.process_time() - start)
        start = time.process_time()
        for row in rows:
            tagger.tag(row)
        theirs = size / (time.process_time() - start)
        print(f"words/s: {ours:.0f}, python-crfsuite's tagger {theirs:.0f}: {ours / theirs:.1f} x")

    pairs: list[tuple[Spans, Spans]] = []
    for first, last in blocks_of(sentences):
        tagger = tagger_of([*sentences[:first], *sentences[last:]], plain, 100)
        for sentence in sentences[first:last]:
            tags = tagger.tag(plain(sentence))
            pairs.append((sentence.gold, sentence.named([LABELS.index(tag) for tag in tags])))
    show("python-crfsuite, plain features", pairs)


Features = Callable[[Sentence], list[list[str]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    shared_option(parser)
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args()
    data = data_folder(options.shared)
    if data is None:
        return
    sentences = read_anercorp(data)
    if options.peer:
        peer(sentences)
        return
    wikifane = read_wikifane(data)
    lists = read_lists(data, wikifane)
    for name, without in ROWS if options.parts else ():
        blocks = cross_trained(sentences, wikifane, lists, without, copies=False)
        show(name, judged(blocks, first_passes(blocks, bias=False)))
    blocks = cross_trained(sentences, wikifane, lists)
    show("+ copies with hidden words", judged(blocks, first_passes(blocks, bias=False)))
    show("+ bias to names", judged(blocks, first_passes(blocks, bias=True)))
    show("+ second pass, as shipped", judged(blocks, both_passes(blocks)))


if __name__ == "__main__":
    main()
