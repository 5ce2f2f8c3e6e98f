"""The samples, run through the stages and forgotten: what is compiled at its first call is ready
then before the first real article comes.

    python -m pipelines.rehearsal

`make` and the image do it once, so that no start waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import randbytes

from pipelines.producers import samples
from pipelines.records import Origin, RawMessage, StageError, changed
from pipelines.stages.clean import clean
from pipelines.stages.decide import Index, decide
from pipelines.stages.decode import decode
from pipelines.stages.entities import entities
from pipelines.stages.fingerprint import KEYS, fingerprint
from pipelines.stages.normalize import normalize
from pipelines.transforms import backend_of, gazetteer

Say = Callable[[str], None]

# Seconds that a rehearsal takes at most where everything has been compiled.
_COMPILED = 5
_MAX_BYTES = 1_000_000
_STRANGERS = 1_000


def rehearse(ner: str, say: Say) -> None:
    """Raises ModelError, ValueError, KeyError or OSError when the tables or the model that `ner`
    names cannot be read.
    """
    patience = threading.Timer(
        _COMPILED, say, ["compiling for this machine, which takes up to a minute, once"]
    )
    patience.daemon = True
    patience.start()
    try:
        tables = None if ner == "none" else (gazetteer(), backend_of(ner))
        index = Index()
        for number, sample in enumerate(samples.read()):
            origin = Origin("samples", 0, number, number)
            try:
                article = clean(
                    decode(
                        RawMessage(origin, sample.message_key, sample.value),
                        lambda schema_id: None,
                        max_bytes=_MAX_BYTES,
                    )
                )
            except StageError:
                continue
            article = decide(fingerprint(normalize(article)), origin, index)
            if tables:
                entities(article, *tables)
        # So many that the index makes its tables longer.
        for number in range(_STRANGERS):
            other = changed(article.fingerprint, keys=randbytes(8 * KEYS), exact=randbytes(8))
            stranger = changed(article, article_id=f"{number:032x}", fingerprint=other)
            decide(stranger, origin, index)
    finally:
        patience.cancel()


if __name__ == "__main__":
    rehearse("default", print)
