"""The language gate: Arabic against the other languages written in its script, and the rest."""

from __future__ import annotations

import re
from collections import Counter

# Frequent words that the other languages of the table do not have; ک and ی written as ك and ي,
# because keyboards mix them.
_FUNCTION_WORDS = {
    "ar": "في من على إلى الى أن ان التي الذي عن مع هذا هذه كان قال ما لا بعد أو كما بين وقال وفي "
    "خلال عند منذ قد كل ثم حتى غير إن وأن ذلك تم بن",
    "fa": "است اين كه را به از در با براي آن شده هاي خود بود اند تا يك مي",
    "ur": "ہے كے ميں اور سے نے كو يہ ہيں كا كہ پر بھي ہو گيا تھا نہيں",
    "ckb": "لە بە ئەم بۆ كە لەگەڵ ئەو دەكات سەر هەموو بوو دەكەن كردووە",
    "ps": "په چې ته يو كې شوي كړي دی يې څخه كړ",
    "en": "the of and to in is that for was on with as by at from are has",
    "fr": "le la les des et est une dans pour que qui sur du au par pas avec",
}
# Letters of one language of the group, which neither Arabic nor the others write.
_OWN_LETTERS = {"ur": "ٹڈڑںےہھ", "ckb": "ەێۆڕڵ", "ps": "ټډړږښګڼۍځڅ", "fa": "پچژگ"}
_MEANINGS: dict[str, list[str]] = {}
for _language, _words in _FUNCTION_WORDS.items():
    for _word in _words.split():
        _MEANINGS.setdefault(_word, []).append(_language)

_ARABIC_FUNCTION_WORD = re.compile(r"(?<!\w)(?:في|من|على|إلى|أن|التي|الذي|قال)(?!\w)")
_FOREIGN_LETTER = re.compile(f"[کی{''.join(_OWN_LETTERS.values())}]")

_SAMPLE = 1000  # characters: some 150 words are enough to tell
_ARABIC_WORD = re.compile(r"[\u0620-\u065f\u066e-\u06d3\u06d5\u06ee-\u06ff\u0750-\u077f]+")
_LATIN_WORD = re.compile(r"[a-zà-ÿ]+")
_KEYBOARD = str.maketrans("کی", "كي")
_ARABIC_SHARE = 0.25  # of the letters: a page's style sheet may outweigh its article
_VOTES = 2  # one word or letter alone may be a name or a quotation
_RARE_LETTERS = 0.02  # share of own letters above which a text without function words is foreign


def language_of(display: str) -> str:
    """ISO 639 code of the text's language, `und` when it has no letters or is none that is known.

    Texts in Arabic script with no telling word or letter are taken as Arabic.
    """
    sample = display[:_SAMPLE]
    if _surely_arabic(sample):
        return "ar"
    sample = sample.lower().translate(_KEYBOARD)
    arabic = _ARABIC_WORD.findall(sample)
    arabic_letters = sum(map(len, arabic))
    if arabic and arabic_letters >= _ARABIC_SHARE * sum(map(str.isalpha, sample)):
        return _of_arabic_script(arabic, arabic_letters)
    return _of_latin_script(_LATIN_WORD.findall(sample))


def _surely_arabic(sample: str) -> bool:
    """The short way for nearly every text: an Arabic word, no foreign letter, little in ASCII."""
    return bool(
        _ARABIC_FUNCTION_WORD.search(sample)
        and not _FOREIGN_LETTER.search(sample)
        and 2 * len(sample.encode("ascii", "ignore")) < len(sample)
    )


def _votes(words: list[str]) -> Counter[str]:
    votes: Counter[str] = Counter()
    for word in words:
        for language in _MEANINGS.get(word, ()):
            votes[language] += 1
    return votes


def _of_arabic_script(words: list[str], letters: int) -> str:
    votes = _votes(words)
    text = "".join(words)
    for language, own in _OWN_LETTERS.items():
        share = sum(text.count(letter) for letter in own) / letters
        if share >= _RARE_LETTERS:
            votes[language] += _VOTES + int(share * len(words))
    language, best = max(votes.items(), key=lambda vote: vote[1], default=("ar", 0))
    return language if best >= _VOTES and best > votes["ar"] else "ar"


def _of_latin_script(words: list[str]) -> str:
    votes = _votes(words)
    best = votes.most_common(1)
    # One word in twelve at least: English and French running text has one in four.
    return best[0][0] if best and best[0][1] * 12 >= len(words) else "und"
