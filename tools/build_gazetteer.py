"""Make the generated tables of the gazetteer from their sources, which are not in the repository:

    python tools/build_gazetteer.py [FOLDER]

FOLDER (default `../shared/data/gazetteers`) holds `cldr41_ar.tsv.xz` (Unicode CLDR 41) and
`world_cities_ar.csv.xz` (world-cities-translations). `countries.tsv` and `cities.tsv` are written
beside the tables made by hand, whose rows win over these.
"""

from __future__ import annotations

import csv
import lzma
import re
import sys
import unicodedata
from pathlib import Path

from pipelines.stages.gazetteer import DATA, match_form, read_aliases

HEADER = ("id", "type", "name", "aliases", "country", "latitude", "longitude", "note")
BY_HAND = ("places.tsv", "groups.tsv", "people.tsv")
SMALLEST = 100_000  # inhabitants: below it, names in the source are wrong more often than of use

# CLDR territories that are no countries, or whose name is a sentence.
NOT_COUNTRIES = {"EU", "EZ", "UN", "XA", "XB", "ZZ", "QO", "AC", "CP", "DG", "EA", "IC", "TA", "UM"}
# Where the source's English name of a country is not CLDR's, by what CLDR's Arabic name says.
COUNTRY_CODES = {
    "Belize": "BZ",
    "Benin": "BJ",
    "Chile": "CL",
    "Eswatini": "SZ",
    "Gabon": "GA",
    "Guatemala": "GT",
    "Lithuania": "LT",
    "Moldova": "MD",
    "Nicaragua": "NI",
    "Paraguay": "PY",
    "Puerto Rico": "PR",
    "Trinidad and Tobago": "TT",
    "Uruguay": "UY",
    "Bosnia and Herzevina": "BA",
    "Brunei": "BN",
    "Congo": "CG",
    "Congo (Democratic Republic Of The)": "CD",
    "Hungary": "HU",
    "Man (Isle of)": "IM",
    "Palestinian Territory Occupied": "PS",
    "Syria": "SY",
    "United States": "US",
}
# Administrative words that the source's Arabic names begin with.
PREFIXES = re.compile(
    r"^\u200f?(?:(?:محافظة|ولاية|منطقة|مديرية|لواء|مدينة|مركز|ناحية|قضاء|مقاطعة|إقليم|قصبة|شعبية)"
    r" )+"
)
# Arabic letters by the Latin ones that they may stand for; vowels do not count.
SOUNDS = {
    **dict.fromkeys("بپ", "BP"), **dict.fromkeys("تطةث", "T"), **dict.fromkeys("جغقكگ", "GKQJCX"),
    **dict.fromkeys("حهخ", "HKXJ"), **dict.fromkeys("دذضظ", "DZT"), "ر": "R",
    **dict.fromkeys("زسصش", "SZCXT"), **dict.fromkeys("فڤ", "FVP"), "ل": "L", "م": "MN", "ن": "NM",
}  # fmt: skip
# Names of the source that are words of every day, people's names or other towns' in Arabic; read by
# hand among the names that the Saudi news of 2015 has most.
AMBIGUOUS = frozenset(
    match_form(
        "الجديدة بيرا كيل البحر صافي آراد ليل بورصة الخمس جورج فرح بخاري ميدان قصور عشاق "
        "الوادي البسيط أولو جوهر الوقف رانس كوينز سيجد رودريغيز أردو كرمان الريان أكرا "
        "لفيف لوريس حرض مطروح فلاديمير أوستن ميرلو الزبير اللاتينية خفي مونستر مينا وحدت "
        "قسطنطين تاريخا أنجلس سانتوس ناها مسعد قيصرية صحابة العمرانية بوشر سيرا فولي روان "
        "بشار نانسي المرج كافو كاندي جيتا تيما بررا برغش لقنت شكي بيلا كولونيا كيتا إسن "
        "صوفيا همدان جيان مغنية هاري وهاري أولم تور باري ميدي بون سمنان أهر المسيلة فورت "
        "بيريرا لافال أيدن غارسيا القرنة رشت ليما كورك المبرز قابس يزد الميرة كلار عقرة "
        "الشامية"
    ).split()
)


def main(folder: Path) -> None:
    """Write both tables."""
    countries = read_countries(folder / "cldr41_ar.tsv.xz")
    _write("countries.tsv", countries, "Countries and territories: Unicode CLDR 41.")
    cities = read_cities(folder / "world_cities_ar.csv.xz", countries)
    _write("cities.tsv", cities, "Cities: world-cities-translations, CC BY 4.0.")


def read_countries(path: Path) -> list[tuple[str, ...]]:
    """Rows of the countries: CLDR's Arabic name, its short and variant ones as aliases."""
    names: dict[str, list[str]] = {}
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            kind, code, _, name = line.rstrip("\n").split("\t")
            if kind == "territory" and code.isalpha() and code not in NOT_COUNTRIES:
                names.setdefault(code, []).append(re.sub(r" \(.*\)", "", name))
    known = _known()
    rows: list[tuple[str, ...]] = []
    for code, found in sorted(names.items()):
        trusted = [name for name in found if match_form(name) not in known]
        if trusted:
            aliases = " | ".join(trusted) if len(trusted) > 1 else ""
            rows.append((f"loc:{code.lower()}", "LOC", trusted[-1], aliases, code, "", "", ""))
    return rows


def read_cities(path: Path, countries: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows of the cities whose Arabic name sounds like the English one, the largest first."""
    codes = {match_form(row[2]): row[4] for row in countries}
    for alias in read_aliases([DATA / "places.tsv"]):
        for record in alias.records[:1]:
            if record.is_country and record.country:
                codes[" ".join(alias.words)] = record.country
    known = _known() | {match_form(name) for row in countries for name in _names(row)}
    by_hand = {r.entity_id for a in read_aliases([DATA / "places.tsv"]) for r in a.records}
    rows = {}
    with lzma.open(path, "rt", encoding="utf-8", newline="") as file:
        source = sorted(csv.DictReader(file), key=lambda row: -int(row["Population"] or 0))
    for row in source:
        code = COUNTRY_CODES.get(row["CountryNameEn"]) or codes.get(
            match_form(row["CountryNameAr"])
        )
        if not code:
            continue
        name = PREFIXES.sub("", row["CityNameAr"]).strip()
        name = re.sub(r" \(.*\)|[،,].*", "", "".join(c for c in name if not _is_mark(c)))
        key = match_form(name)
        entity_id = f"loc:{code.lower()}/{_slug(row['CityNameEn'])}"
        if (
            int(row["Population"] or 0) >= SMALLEST
            and len(key) > 2
            and key not in known
            and key not in AMBIGUOUS
            and entity_id not in by_hand
            and entity_id not in rows
            and sounds_like(name, row["CityNameEn"])
        ):
            # Nobody has read them one by one: each needs a sign of place and its country.
            rows[entity_id] = (entity_id, "LOC", name, f"{name}?", code, "", "", "")
    return list(rows.values())


def sounds_like(arabic: str, latin: str) -> bool:
    """Whether the consonants of an Arabic name could be those of a Latin one.

    The source was translated by machine: Mosul is فاموتيدين there, Hun المجر.
    """
    plain = unicodedata.normalize("NFKD", latin).upper()
    plain = re.sub(r"^(?:A[LDNRSTZ]H?|EL|ED|ES|ET) ", "", plain)
    bare = re.sub(r"^ال", "", arabic)
    want = [SOUNDS[letter] for letter in bare if letter in SOUNDS]
    have = [c for c in plain if c in "BCDFGHJKLMNPQRSTVXZ"]
    # Longest common subsequence of the two rows of consonants.
    row = [0] * (len(have) + 1)
    for sounds in want:
        before = 0
        for at, letter in enumerate(have, 1):
            before, row[at] = row[at], max(row[at], row[at - 1], before + (letter in sounds))
    return row[-1] >= 0.75 * max(len(want), 1) and row[-1] >= 0.6 * max(len(have), 1)


def _names(row: tuple[str, ...]) -> list[str]:
    return [row[2], *(row[3].split(" | ") if row[3] else [])]


def _known() -> set[str]:
    paths = [DATA / name for name in BY_HAND]
    return {" ".join(alias.words[alias.skip :]) for alias in read_aliases(paths)}


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Cf")


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"[`'’]", "", plain)).strip("-")


def _write(name: str, rows: list[tuple[str, ...]], about: str) -> None:
    lines = [f"# {about}", "# Made by tools/build_gazetteer.py: change that, not this.", *(
        "\t".join(row).rstrip("\t") for row in (HEADER, *rows)
    )]  # fmt: skip
    (DATA / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/gazetteers"))
