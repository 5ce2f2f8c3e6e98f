"""The backend by choice: camel-tools' BERT recognizer, behind the same interface as the default.

Its traps are handled here: it pads every sentence to 256 word pieces, gives no label to a word that
has none, and its import looks for a catalogue over the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.stages.lexicon import Ints
from pipelines.stages.recognizer import CLASSES, STOP, ModelError, Recognizer, Span, Text, spans_of

VERSION = "camel-arabert"

_HOW = (
    "--ner=camel needs camel-tools with all its dependencies (torch among them, some 6 GB) and its "
    "model. Type: pip install 'camel-tools==1.6.*' && camel_data -i ner-arabert"
)
_LONGEST = 60  # words of a sentence: more may be over 256 word pieces, which it cuts in two
_BATCH = 16  # sentences; each is padded to 256 word pieces
_NUMBERS = {"PERS": "PER"}  # what it calls differently
_NO_PIECES = "."  # stands in for a word that its tokenizer makes nothing of


class Camel:
    """camel-tools' recognizer with the model in a folder, by default the one it has downloaded."""

    version = VERSION

    def __init__(self, model: Path | None = None) -> None:
        """Raises ModelError when camel-tools, what it needs or its model is not there."""
        try:
            import torch
            from camel_tools.ner import NERecognizer

            self._lists = Recognizer()
            torch.set_num_threads(1)  # Beam and the broker want the other cores
            self._recognizer: Any = (
                NERecognizer(str(model), use_gpu=False)
                if model
                else NERecognizer.pretrained(use_gpu=False)
            )
        except Exception as error:
            raise ModelError(f"{_HOW} ({type(error).__name__}: {error})") from error

    def knows(self, word: str) -> int:
        """As the default recognizer does, by its lists: وليد must keep its first letter."""
        return self._lists.knows(word)

    def find(self, texts: Sequence[Text]) -> list[list[Span]]:
        """The names in each text; the sentences of all of them go through the model together."""
        sentences = [
            (number, first, last)
            for number, text in enumerate(texts)
            for first, last in _sentences(text.gaps)
        ]
        spelled = [text.spellings for text in texts]
        words = [self._with_pieces(spelled[n][first:last]) for n, first, last in sentences]
        found: list[list[Span]] = [[] for _ in texts]
        labelled = self._recognizer.predict(words, batch_size=_BATCH)
        for (number, start, _), sent, tags in zip(sentences, words, labelled, strict=True):
            if len(tags) != len(sent):
                raise ValueError(f"camel-tools gave {len(tags)} labels for {len(sent)} words")
            labels = np.array([_label(tag) for tag in tags])
            for first, last, kind in spans_of(labels).tolist():
                found[number].append(Span(start + first, start + last, CLASSES[kind]))
        return found

    def _with_pieces(self, words: list[str]) -> list[str]:
        tokenize = self._recognizer.tokenizer.tokenize
        return [word if tokenize(word) else _NO_PIECES for word in words]


def _sentences(gaps: Ints) -> list[tuple[int, int]]:
    """The sentences `[first, last)`, and parts of very long ones."""
    ends = [at for at, gap in enumerate(gaps) if gap == STOP and at]
    found = []
    for first, last in zip([0, *ends], [*ends, len(gaps)], strict=True):
        found += [(at, min(at + _LONGEST, last)) for at in range(first, last, _LONGEST)]
    return found


def _label(tag: str) -> int:
    """The number of one of its labels among ours."""
    place, _, kind = tag.partition("-")
    if not kind:
        return 0
    number = [str(name) for name in CLASSES].index(_NUMBERS.get(kind, kind))
    return number * 2 + (1 if place == "B" else 2)
