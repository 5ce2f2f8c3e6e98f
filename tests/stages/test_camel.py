"""The backend by choice: a clear word when it is not installed, and its real loading code on a tiny
model when it is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pipelines.stages.camel import Camel, _sentences
from pipelines.stages.recognizer import CLASSES, HEARD, LISTED, NO_GAP, STOP, STRANGE, ModelError


class Words(NamedTuple):
    """A text whose spelling is its match layer."""

    words: list[str]
    gaps: np.ndarray

    @property
    def spellings(self) -> list[str]:
        return self.words


def text(words: str) -> Words:
    found = words.split()
    return Words(found, np.array([STOP, *[NO_GAP] * (len(found) - 1)]))


@pytest.fixture
def catalogue(tmp_path, monkeypatch) -> Path:
    """A folder with an empty catalogue, which camel-tools' import would otherwise look for over the
    network; it reads once in a process where that is.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CAMELTOOLS_DATA", str(tmp_path))
    for name in [name for name in sys.modules if name.startswith(_READ_ONCE)]:
        monkeypatch.delitem(sys.modules, name)
    empty = '{"version": "1", "packages": {}, "components": {}}'
    (tmp_path / "catalogue.json").write_text(empty, encoding="utf-8")
    return tmp_path


_READ_ONCE = ("camel_tools.data", "camel_tools.ner")


@pytest.mark.usefixtures("catalogue")
def test_not_installed(tmp_path):
    """Without its dependencies or its model it says what to type."""
    with pytest.raises(ModelError, match="camel_data -i ner-arabert"):
        Camel(tmp_path / "none")


def test_sentences():
    """A text is cut at its stops, and every 60 words where there is none."""
    gaps = [STOP, NO_GAP, STOP, *[NO_GAP] * 130]
    assert _sentences(gaps) == [(0, 2), (2, 62), (62, 122), (122, 133)]
    assert _sentences([]) == []


@pytest.fixture
def tiny(catalogue) -> Path:
    """A BERT of one layer with weights of chance, in a folder as camel-tools keeps its own."""
    for module in ("torch", "transformers", "camel_tools.ner"):
        pytest.importorskip(module, reason="camel-tools' own dependencies are not installed")
    import torch
    from transformers import BertConfig, BertForTokenClassification

    labels = ["B-LOC", "B-ORG", "B-PERS", "B-MISC", "I-LOC", "I-ORG", "I-PERS", "I-MISC", "O"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "قال", "كوفي", "أنان", "في", "."]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        id2label=dict(enumerate(labels)),
        label2id={label: at for at, label in enumerate(labels)},
    )
    BertForTokenClassification(config).save_pretrained(catalogue)
    (catalogue / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    settings = '{"do_lower_case": false, "max_len": 512}'
    (catalogue / "tokenizer_config.json").write_text(settings, encoding="utf-8")
    return catalogue


def test_tiny_model(tiny):
    """The real loading code reads a local model; each text is answered within its words, also one
    with a word that has no pieces, and an empty one.
    """
    texts = [text("قال كوفي أنان في \u200f"), text(""), text("في كوفي")]
    found = Camel(tiny).find(texts)
    assert len(found) == len(texts)
    for spans, each in zip(found, texts, strict=True):
        assert all(0 <= s.first < s.last <= len(each.words) and s.type in CLASSES for s in spans)
    assert found[1] == []


def test_it_knows_names(tiny):
    """What belongs to a name and what stands before it is told by our own lists."""
    camel = Camel(tiny)
    assert [camel.knows(word) for word in ("وليد", "وصالح", "قالت")] == [LISTED, HEARD, STRANGE]
