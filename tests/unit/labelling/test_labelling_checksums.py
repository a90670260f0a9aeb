"""Check digits, beside an implementation by others, over made-up numbers good and bad."""

import random
from collections.abc import Callable
from importlib import import_module

import pytest

from pfgov.labelling import checksums

RULES: dict[str, tuple[Callable[[str], bool], str, str]] = {
    "gb.nhs": (checksums.gb_nhs, "0123456789", "d" * 10),
    "de.idnr": (checksums.de_tax_id, "0123456789", "d" * 11),
    "es.dni": (checksums.es_dni, "0123456789", "d" * 8 + "l"),
    "nl.bsn": (checksums.nl_bsn, "0123456789", "d" * 9),
    "br.cpf": (checksums.br_cpf, "0123456789", "d" * 11),
    "in_.aadhaar": (checksums.in_aadhaar, "0123456789", "d" * 12),
    "jp.in_": (checksums.jp_my_number, "0123456789", "d" * 12),
    "luhn": (checksums.luhn, "0123456789", "d" * 16),
}
LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


def numbers(shape: str, source: random.Random) -> str:
    """Draw a number of a shape; its last character is tried in all its values by the caller."""
    return "".join(source.choice("0123456789" if kind == "d" else LETTERS) for kind in shape)


@pytest.mark.parametrize("name", sorted(RULES))
def test_check_digits_agree_with_stdnum(name: str) -> None:
    """A number is taken that its issuer would not give out, or one is refused that it would."""
    theirs = import_or_skip(name)
    ours, _, shape = RULES[name]
    source = random.Random(name)
    good = 0
    for _ in range(400):
        body = numbers(shape, source)[:-1]
        if name == "de.idnr":  # random digits hardly ever have one pair and else no repetition
            body = "".join(source.sample("123456789", 9))
            body = body[:4] + source.choice(body) + body[4:]
        for last in LETTERS if shape.endswith("l") else "0123456789":
            wanted = theirs.is_valid(body + last)
            assert ours(body + last) == wanted, body + last
            good += wanted
    assert good > 30


def import_or_skip(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """The module of the other implementation."""
    pytest.importorskip("stdnum")
    return import_module(f"stdnum.{name}")


def test_accounts_agree_with_stdnum() -> None:
    """An IBAN is taken or refused other than by the registry's checks."""
    pytest.importorskip("stdnum")
    theirs = import_module("stdnum.iban")
    source = random.Random(20)
    for country, length in checksums.IBAN_LENGTHS.items():
        body = "".join(source.choice("0123456789") for _ in range(length - 4))
        for digits in range(2, 99, 7):
            text = f"{country}{digits:02}{body}"
            if checksums.iban(text):
                assert theirs.calc_check_digits(text) == text[2:4]
            elif theirs.calc_check_digits(text) == text[2:4]:
                pytest.fail(text)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checksums.fr_nir, "295109912611193", "295109912611194"),
        (checksums.fr_nir, "2951099126111 93".replace(" ", ""), "299999912611193"),
        (checksums.it_codice, "RSSMRA85T10A562S", "RSSMRA85T10A562T"),
        (checksums.pl_pesel, "44051401359", "44051401358"),
        (checksums.pl_pesel, "02070803628", "44134401359"),
        (checksums.se_personal, "8803200016", "8803200017"),
        (checksums.se_personal, "198803200016", "198813200016"),
        (checksums.us_ssn, "536904399", "666904399"),
        (checksums.us_ssn, "536904399", "078051120"),
        (checksums.us_ssn, "536904399", "536004399"),
        (checksums.us_ssn, "536904399", "900904399"),
        (checksums.gb_nino, "AB123456C", "BG123456C"),
        (checksums.card, "4111111111111111", "4111111111111112"),
        (checksums.card, "378282246310005", "0000000000000000"),
        (checksums.card, "6011111111111117", "1111111111111117"),
        (checksums.card, "5555555555554444", "4444444444444444"),
    ],
)
def test_numbers_that_others_publish(check: Callable[[str], bool], good: str, bad: str) -> None:
    """A published number is refused, or one with a wrong digit, range or day is taken."""
    assert check(good)
    assert not check(bad)
