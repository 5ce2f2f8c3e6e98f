"""Articles for tests of delivery, made from the samples, so that no other data is needed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from pipelines.producers import samples


def articles(count: int, seed: int = 1) -> Iterator[bytes]:
    """Distinct articles, copies under other addresses, repetitions, revisions and broken messages,
    in a fixed mixture; the same for the same arguments.
    """
    chance = random.Random(seed)
    texts = [s.value for s in samples.read() if s.expect["verdict"] == "new" and s.value]
    fields = [f for f in map(json.loads, texts) if len(f.get("body", "").split()) > 40]
    sentences = [s for f in fields for s in f["body"].replace("\n", " ").split(". ") if len(s) > 60]
    sent: list[dict[str, str]] = []
    for number in range(count):
        kind = chance.random()
        if kind < 0.02:
            yield json.dumps({"url": f"https://a.example/{number}"}).encode()
            continue
        if sent and kind < 0.2:  # another outlet's copy
            article = chance.choice(sent[-300:]) | {
                "url": f"https://b.example/{number}",
                "source": "نسخة",
            }
        elif sent and kind < 0.25:  # the same once more
            article = chance.choice(sent[-300:])
        elif sent and kind < 0.3:  # a changed text under the same address
            article = dict(chance.choice(sent[-300:]))
            article["body"] += f" وأضاف المصدر أن الرقم بلغ {number}."
        else:
            body = ". ".join(chance.sample(sentences, 6)) + f". رقم البلاغ {number} {number * 7}"
            article = {
                "url": f"https://a.example/{number}",
                "source": "مصدر",
                "title": f"خبر رقم {number}",
                "body": body,
            }
        sent.append(article)
        yield json.dumps(article, ensure_ascii=False).encode()
