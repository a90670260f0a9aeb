"""The check digits of numbers that name people, accounts and cards, each in a few lines, from its published rule.

Every function takes the bare characters, without separators, and says whether they can be such a number.  What has no
check digit is held to what its issuer never gives out.  Tests hold each to an implementation by others.
"""

from collections.abc import Sequence
from typing import Final

IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29,
    "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28,
    "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""Country -> characters of its IBANs (the registry that SWIFT keeps)."""


def _digits(text: str) -> list[int]:
    return [ord(character) - 48 for character in text]


def _weighted(text: str, weights: Sequence[int]) -> int:
    return sum(weight * digit for weight, digit in zip(weights, _digits(text), strict=False))


def luhn(text: str) -> bool:
    """Whether the last digit is the Luhn check digit (ISO/IEC 7812-1)."""
    total = 0
    for index, digit in enumerate(reversed(_digits(text))):
        doubled = digit * 2 if index % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def card(text: str) -> bool:
    """Whether it is a payment card number: an issuer's range, a length of it, and the Luhn digit."""
    if len(set(text)) == 1:
        return False
    two, four = int(text[:2]), int(text[:4])
    length = len(text)
    known = (
        (text[0] == "4" and length in {13, 16, 19})
        or ((51 <= two <= 55 or 2221 <= four <= 2720) and length == 16)
        or (two in {34, 37} and length == 15)
        or ((two in {36, 38, 39} or 300 <= int(text[:3]) <= 305) and length == 14)
        or ((two in {35, 62, 64, 65, 81} or four == 6011) and 16 <= length <= 19)
        or (text[0] in "56" and 12 <= length <= 19)
    )
    return known and luhn(text)


def iban(text: str) -> bool:
    """Whether it is an IBAN: the length of its country, and the remainder 1 (ISO 13616, ISO 7064 mod 97-10)."""
    if IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def date(year: int, month: int, day: int) -> bool:
    """Whether there is such a day; years are not looked at."""
    lengths = (31, 29 if year % 4 == 0 else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return 1 <= month <= 12 and 1 <= day <= lengths[month - 1]


def us_ssn(text: str) -> bool:
    """A social security number: none begins with 000, 666 or 9, has group 00 or serial 0000; some were advertised."""
    return (
        text[:3] not in {"000", "666"}
        and text[0] != "9"
        and text[3:5] != "00"
        and text[5:] != "0000"
        and text not in {"078051120", "219099999"}
    )


def gb_nino(text: str) -> bool:
    """A National Insurance number: prefixes that are never given out are none."""
    return text[:2] not in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}


def gb_nhs(text: str) -> bool:
    """An NHS number: the eleven's complement of the weighted sum."""
    check = 11 - _weighted(text[:9], range(10, 1, -1)) % 11
    return check != 10 and check % 11 == int(text[9])


def de_tax_id(text: str) -> bool:
    """A Steuer-Identifikationsnummer: one of the first ten digits comes two or three times, ISO 7064 mod 11, 10."""
    counts = sorted(text[:10].count(digit) for digit in set(text[:10]))
    if text[0] == "0" or counts[-1] not in {2, 3} or (len(counts) > 1 and counts[-2] > 1):
        return False
    product = 10
    for digit in _digits(text[:10]):
        total = (digit + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(text[10])


def fr_nir(text: str) -> bool:
    """A numéro de sécurité sociale: sex, month, and the complement to 97; 2A and 2B stand for Corsica."""
    body = text[:13].replace("2A", "19").replace("2B", "18")
    month = int(text[3:5])
    is_month = 1 <= month <= 12 or 20 <= month <= 42 or month >= 50
    return is_month and body.isdecimal() and 97 - int(body) % 97 == int(text[13:])


_DNI: Final = "TRWAGMYFPDXBNJZSQVHLCKE"


def es_dni(text: str) -> bool:
    """A DNI or a NIE: the letter is the remainder by 23."""
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return _DNI[int(number) % 23] == text[-1]


_CODICE_ODD: Final = dict(
    zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)
) | dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def it_codice(text: str) -> bool:
    """A codice fiscale: the last letter is the sum of the others by place, modulo 26."""
    total = sum(
        _CODICE_ODD[c] if index % 2 == 0 else int(c, 36) - (10 if c.isalpha() else 0)
        for index, c in enumerate(text[:15])
    )
    return chr(65 + total % 26) == text[15]


def nl_bsn(text: str) -> bool:
    """A burgerservicenummer: the test of eleven, with the last digit counted against."""
    total = _weighted(text[:8], range(9, 1, -1)) - int(text[8])
    return total % 11 == 0 and text.strip("0") != ""


def pl_pesel(text: str) -> bool:
    """A PESEL: a day of birth with its century in the month, and the weighted sum."""
    month = int(text[2:4]) % 20
    total = _weighted(text[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3))
    return date(int(text[:2]), month, int(text[4:6])) and (10 - total) % 10 == int(text[10])


def br_cpf(text: str) -> bool:
    """A CPF: two check digits modulo 11; one digit eleven times is none."""
    first = _weighted(text[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = _weighted(text[:10], range(11, 1, -1)) * 10 % 11 % 10
    return len(set(text)) > 1 and text[9:] == f"{first}{second}"


def se_personal(text: str) -> bool:
    """A personnummer, or a samordningsnummer (its day is 60 more): a day, and the Luhn digit over the last ten."""
    ten = text[-10:]
    day = int(ten[4:6])
    return date(int(ten[:2]), int(ten[2:4]), day - 60 if day > 60 else day) and luhn(ten)


_D5: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
_PERMUTED: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4), (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7), (9, 4, 5, 3, 1, 2, 6, 8, 7, 0), (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5), (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)  # fmt: skip


def in_aadhaar(text: str) -> bool:
    """An Aadhaar number: it begins with none of 0 and 1, is no palindrome, and Verhoeff's digit closes it."""
    check = 0
    for index, digit in enumerate(reversed(_digits(text))):
        check = _D5[check][_PERMUTED[index % 8][digit]]
    return check == 0 and text[0] > "1" and text != text[::-1]


def jp_my_number(text: str) -> bool:
    """A My Number: eleven digits weighted from the right, modulo 11."""
    total = _weighted(text[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2))
    return (11 - total % 11 if total % 11 > 1 else 0) == int(text[11])
