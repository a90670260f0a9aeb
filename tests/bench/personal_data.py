"""How well personal data is found, in generated text of twelve locales, beside presidio; and how fast.

    python tests/bench/personal_data.py                                   # how fast
    PFGOV_PRESIDIO=VENV/bin/python python tests/bench/personal_data.py --quality

Texts come from Faker with a fixed seed, in templates of each language: half say what their value is, half do not; with
them come texts with numbers, names of versions, digests and dates that are nobody's.  A text counts for a class or does
not; where in it something was found is not compared.  Without PFGOV_PRESIDIO presidio is left out, and that is said.
"""

import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from faker import Faker

from pfgov.labelling import checksums, scan

TEXTS = 30
"""Texts of a class and a locale."""

LOCALES = {
    "en_US": "us", "en_GB": "gb", "de_DE": "de", "fr_FR": "fr", "es_ES": "es", "it_IT": "it", "nl_NL": "nl",
    "pl_PL": "pl", "pt_BR": "br", "sv_SE": "se", "hi_IN": "in", "ja_JP": "jp",
}  # fmt: skip

WORDS = {
    "en_US": ("Phone: {}", "Card {}", "Account {}", "Mail {}", "SSN: {}", "Seen from {}", "{} is theirs."),
    "en_GB": ("Mobile {}", "Paid with {}", "IBAN {}", "Write to {}", "NI number {}", "Logged in from {}", "Noted {}."),
    "de_DE": ("Telefon: {}", "Karte {}", "Konto {}", "E-Mail {}", "Steuer-ID {}", "von der Adresse {}", "Notiert: {}."),
    "fr_FR": ("Tél. {}", "Carte {}", "Compte {}", "Courriel {}", "Sécurité sociale {}", "depuis {}", "Noté {}."),
    "es_ES": ("Teléfono: {}", "Tarjeta {}", "Cuenta {}", "Correo {}", "DNI {}", "desde {}", "Anotado: {}."),
    "it_IT": ("Tel: {}", "Carta {}", "Conto {}", "Scrivere a {}", "Codice fiscale {}", "da {}", "Annotato: {}."),
    "nl_NL": ("Telefoon {}", "Kaart {}", "Rekening {}", "Mail {}", "BSN {}", "vanaf {}", "Genoteerd: {}."),
    "pl_PL": ("Telefon {}", "Karta {}", "Konto {}", "Adres {}", "PESEL {}", "z adresu {}", "Zapisano {}."),
    "pt_BR": ("Telefone {}", "Cartão {}", "Conta {}", "E-mail {}", "CPF {}", "de {}", "Anotado: {}."),
    "sv_SE": ("Telefon {}", "Kort {}", "Konto {}", "Mejl {}", "Personnummer {}", "från {}", "Antecknat: {}."),
    "hi_IN": ("मोबाइल {}", "कार्ड {}", "खाता {}", "ईमेल {}", "आधार {}", "पता {}", "लिखा है {}।"),
    "ja_JP": ("電話 {}", "カード {}", "口座 {}", "メール {}", "マイナンバー {}", "接続元 {}", "記録: {}。"),
}  # fmt: skip
"""Locale -> what stands before a phone, a card, an account, an address, a person's number, an IP; before anything."""

KINDS = ("pii.phone", "pii.card", "pii.iban", "pii.email", "pii.national_id", "pii.ip")


def made_up(check: Callable[[str], bool], size: int, source: random.Random) -> str:
    """A number whose check digit holds."""
    while True:
        body = "".join(source.choice("0123456789") for _ in range(size - 1))
        if check is checksums.de_tax_id:
            body = "".join(source.sample("123456789", 9))
            body = body[:3] + source.choice(body) + body[3:]
        for last in "0123456789":
            if check(body + last):
                return body + last


def values(locale: str, source: random.Random) -> dict[str, Callable[[], str]]:
    """What makes a value of each kind."""
    fake = Faker(locale)
    fake.seed_instance(source.random())
    own = {
        "de_DE": lambda: made_up(checksums.de_tax_id, 11, source),
        "nl_NL": lambda: made_up(checksums.nl_bsn, 9, source),
        "hi_IN": lambda: made_up(checksums.in_aadhaar, 12, source),
        "ja_JP": lambda: made_up(checksums.jp_my_number, 12, source),
        "en_GB": lambda: f"{source.choice(('AB', 'CE', 'JG', 'PX'))}{fake.ssn()[2:-1].rstrip()}{source.choice('ABCD')}",
        "es_ES": lambda: fake.nif(),  # noqa: PLW0108 - only that locale has it
    }  # fmt: skip
    account = Faker("de_DE" if locale in {"en_US", "hi_IN", "ja_JP", "pt_BR"} else locale)
    account.seed_instance(source.random())
    return {
        "pii.phone": fake.phone_number,
        "pii.card": lambda: fake.credit_card_number(
            source.choice(("visa16", "mastercard", "amex"))
        ),
        "pii.iban": account.iban,
        "pii.email": fake.email,
        "pii.national_id": own.get(locale, fake.ssn),
        "pii.ip": lambda: fake.ipv4_public() if source.random() < 0.5 else fake.ipv6(),
    }


def nothing(source: random.Random) -> str:
    """A text that is about nobody."""
    number = source.randrange
    return source.choice(
        (
            f"order {number(10**7, 10**8)} of {number(2020, 2027)}-{number(1, 13):02}-{number(1, 29):02}",
            f"v{number(1, 20)}.{number(0, 40)}.{number(0, 99)} took {number(10, 9999) / 100} s",
            f"total {number(1, 10**6):,}.{number(0, 100):02} EUR, item {number(10**11, 10**12)}",
            f"id {uuid.UUID(int=source.getrandbits(128))}",
            f"sha256 {source.getrandbits(256):064x}",
            f"at {number(1_700_000_000, 1_800_000_000)} row {number(10**9, 10**10)}",
            f"tracking {number(10**15, 10**16)}",
            f"pi {source.random()} and {source.random() * 1e6:.3f}",
        )
    )


def corpus() -> Iterator[tuple[str, str, str]]:
    """Yield locale, class (or nothing) and text."""
    for locale, country in LOCALES.items():
        source = random.Random(f"pfgov {locale}")
        make = values(locale, source)
        for place, kind in enumerate(KINDS):
            name = f"pii.national_id.{country}" if kind == "pii.national_id" else kind
            for index in range(TEXTS):
                words = WORDS[locale][place if index % 2 == 0 else -1]
                yield locale, name, words.format(make[kind]())
        for _ in range(TEXTS):
            yield locale, "", nothing(source)


def ours(texts: list[str]) -> list[set[str]]:
    """What the patterns find."""
    return [
        set(scan(json.dumps({"text": text}, ensure_ascii=False).encode()).classes) for text in texts
    ]


def theirs(texts: list[str], python: str) -> tuple[str, list[set[str]]]:
    """What presidio finds, and its version."""
    peer = Path(__file__).with_name("presidio_peer.py")
    asked = "".join(f"{json.dumps(text)}\n" for text in texts)
    done = subprocess.run(
        [python, str(peer)], input=asked, capture_output=True, text=True, check=True
    )
    first, *rest = done.stdout.splitlines()
    return json.loads(first)["presidio-analyzer"], [set(json.loads(line)) for line in rest]


def table(rows: list[tuple[str, str, str]], found: dict[str, list[set[str]]]) -> None:
    """Print precision and recall of every class, and recall of every locale."""
    names = sorted({name for _, name, _ in rows if name})
    print(f"| class | texts | {' | '.join(f'{who}: precision | recall' for who in found)} |")
    print(f"|---|---|{'---|---|' * len(found)}")
    for name in names:
        cells: list[str] = []
        for seen in found.values():
            hits = sum(name in one for (_, n, _), one in zip(rows, seen, strict=True) if n == name)
            false = sum(name in one for (_, n, _), one in zip(rows, seen, strict=True) if n != name)
            wanted = sum(n == name for _, n, _ in rows)
            cells += [f"{hits / max(hits + false, 1):.2f}", f"{hits / wanted:.2f}"]
        print(f"| `{name}` | {wanted} | {' | '.join(cells)} |")
    print()
    print(f"| locale | {' | '.join(f'{who}: recall | false alarms' for who in found)} |")
    print(f"|---|{'---|---|' * len(found)}")
    for locale in LOCALES:
        cells = []
        for seen in found.values():
            mine = [(n, one) for (at, n, _), one in zip(rows, seen, strict=True) if at == locale]
            counts: dict[bool, list[bool]] = defaultdict(list)
            for n, one in mine:
                counts[bool(n)].append(n in one if n else bool(one & set(names)))
            cells += [
                f"{sum(counts[True]) / len(counts[True]):.2f}",
                f"{sum(counts[False])} of {len(counts[False])}",
            ]
        print(f"| {locale} | {' | '.join(cells)} |")


def quality() -> None:
    """Print the tables."""
    rows = list(corpus())
    texts = [text for _, _, text in rows]
    found: dict[str, list[set[str]]] = {"pfgov": ours(texts)}
    python = os.environ.get("PFGOV_PRESIDIO")
    if python is None:
        print("presidio: skipped, PFGOV_PRESIDIO names no Python that has presidio-analyzer")
    else:
        version, seen = theirs(texts, python)
        found[f"presidio {version}"] = seen
    print(f"{len(rows)} texts, {len(LOCALES)} locales")
    table(rows, found)


def speed() -> None:
    """Print how many megabytes a second are looked through, beside the reading of the same JSON."""
    source = random.Random(7)
    makes = [values(locale, source) for locale in LOCALES]
    plain = " ".join(nothing(source) for _ in range(20_000))
    rich = [source.choice(makes)[source.choice(KINDS)]() for _ in range(20_000)]
    cases: dict[str, Any] = {
        "prose": {"text": ("the work went on as planned and nobody was named in it, " * 18_000)[:1_000_000]},
        "numbers and ids": {"text": plain[:1_000_000]},
        "ten thousand fields": [{"name": n, "value": plain[n * 60 : n * 60 + 60]} for n in range(10_000)],
        "personal data throughout": {"text": " ".join(rich)[:1_000_000]},
    }  # fmt: skip
    print("looking for personal data (a scan for classes, as at submission)")
    for name, document in cases.items():
        raw = json.dumps(document, ensure_ascii=False).encode()[:1_048_576]
        raw = (
            raw
            if raw.endswith((b"}", b"]"))
            else json.dumps({"text": raw.decode(errors="ignore")}).encode()
        )
        best, read = (min(timed(partial(do, raw)) for _ in range(3)) for do in (scan, json.loads))
        found = scan(raw)
        rate = len(raw) / 1e6 / best
        print(
            f"  {name:28}{rate:8.1f} MB/s  {best / read:7.1f} times reading the JSON"
            f"  {'' if found.why is None else found.why}{'  BELOW 2 MB/s' if rate < 2 else ''}"
        )


def timed(do: Callable[[], object]) -> float:
    """Processor seconds of *do*."""
    start = time.thread_time()
    do()
    return time.thread_time() - start


if __name__ == "__main__":
    quality() if "--quality" in sys.argv else speed()
