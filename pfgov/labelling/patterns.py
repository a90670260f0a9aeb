"""What personal data and secrets look like: one table, a class, a pattern and a check a row.

Patterns run on RE2, in time that grows with the text and not faster.  What a pattern finds counts when its check digits
hold; a shape that much else has counts only after a word that says what it is (``context``).  Names and postal
addresses have no shape and are not found here.  Nothing in this module keeps or returns what was found.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import re2 as _re2

from pfgov.labelling import checksums

re2: Any = _re2  # it ships no types

Check = Callable[[str], bool]


def _compiled(pattern: str) -> Any:
    return re2.compile(pattern.encode())


def _words(*words: str) -> Any:
    """Return what finds one of *words*, whatever their capitals; words in ASCII stand alone or begin a longer one."""
    plain = "|".join(re.escape(w) for w in words if w.isascii())
    other = "|".join(re.escape(w) for w in words if not w.isascii())
    return _compiled(rf"(?i)(?:\b|_)(?:{plain})" + (f"|{other}" if other else ""))


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row.

    Attributes:
        data_class: What is found.
        expression: Where it may be, over the bytes of a text that was made plain (:mod:`pfgov.labelling.reading`).
        check: Whether its bare characters can be one; None asks nothing further.
        context: What has to stand shortly before it; None asks for nothing.
        needs: What a text without has none of it: ``digits``, ``@`` or nothing.
        keeps: Whether the check gets separators, too.
    """

    data_class: str
    expression: Any
    check: Check | None = None
    context: Any = None
    needs: str = ""
    keeps: bool = False


def _number(country: str, expression: str, check: Check | None, context: Any = None) -> Pattern:
    return Pattern(
        f"pii.national_id.{country}", _compiled(expression), check, context, needs="digits"
    )


# --- checks of what has no check digit ---


def _iban(text: str) -> bool:
    """Whether an IBAN begins here: the pattern may have run on into what follows."""
    upper = text.upper()
    return checksums.iban(upper[: checksums.IBAN_LENGTHS.get(upper[:2], 0)])


def _telephone(text: str) -> bool:
    digits = text.lstrip("+")
    return 7 <= len(digits) <= 15 and len(set(digits)) > 2


def _address(text: str) -> bool:
    """Whether it is an address of the Internet that can be somebody's."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified or found.is_multicast)


_MONTH: Final = re.compile(
    r"(?i)jan|feb|f[ée]v|m[aä]r|mrt|apr|abr|avr|ma[iyj]|mag|jun|jui|giu|jul|lug|lip|aug|ago|ao[uû]|sep|set|okt|oct|out|ott|"
    r"nov|lis|de[czs]|d[ée]c|dic|gru|ene|gen|sty|lut|kwi|cze|sie|wrz|pa[zź]"
)
_PLACEHOLDER: Final = re.compile(
    r"(?i)\W*(?:x+|\*+|\.+|none|null|true|false|redacted|changeme|required|optional|string|\$\{.*|<.*|\{\{.*|%s)\W*"
)


def _secret(text: str) -> bool:
    value = re.split(r"[:=]\s{0,3}", text, maxsplit=1)[-1].strip("\"' ")
    return _PLACEHOLDER.fullmatch(value) is None


def _credentials(text: str) -> bool:
    return _PLACEHOLDER.fullmatch(text.rpartition(":")[2].rstrip("@")) is None


def _day(text: str) -> bool:
    """Whether it is a date, the day or the year first."""
    parts = [int(part) for part in re.findall(r"\d+", text)]
    if len(parts) == 2:  # the month in letters
        return _MONTH.search(text) is not None or not text.isascii()
    if len(parts[:3]) < 3:
        return False
    one, two, three = parts[:3]
    if one > 31:
        return checksums.date(one, two, three)
    return checksums.date(three, two, one) or checksums.date(three, one, two)


def _passport(text: str) -> bool:
    return sum(map(str.isdecimal, text)) >= 5


# --- words that say what a number is, in the languages of twelve locales ---

PHONE_WORDS: Final = _words(
    "phone", "tel", "mobile", "cell", "fax", "whatsapp", "handy", "mobil", "rufnummer", "movil", "portable",
    "cellulare", "telemovel", "celular", "komor", "call me", "ring me", "sms", "msisdn", "tél", "móvil",
    "komór", "電話", "携帯", "फ़ोन", "फोन", "मोबाइल",
)  # fmt: skip
BIRTH_WORDS: Final = _words(
    "dob", "birth", "born", "geb", "naissance", "nacid", "nacim", "nato il", "nata il", "nascita", "urodz",
    "ur.", "nasc", "d.o.b", "født", "född", "né le", "née le", "födelse", "生年月日", "生まれ", "जन्म",
)  # fmt: skip
PASSPORT_WORDS: Final = _words(
    "passport", "reisepass", "passeport", "pasaporte", "passaporto", "paspoort", "paszport", "passaporte",
    "pasaportu", "passnummer", "旅券", "パスポート", "पासपोर्ट",
)  # fmt: skip

# --- the table ---

PATTERNS: Final = (
    Pattern(
        "pii.email",
        _compiled(
            r"[a-zA-Z0-9._%+\-'\x80-\xff]{1,64}@(?:[a-zA-Z0-9\x80-\xff](?:[a-zA-Z0-9\x80-\xff\-]*[a-zA-Z0-9\x80-\xff])?\.)+"
            r"[a-zA-Z\x80-\xff]{2,24}"
        ),
        needs="@",
    ),
    Pattern(
        "pii.iban",
        _compiled(r"(?i)\b[A-Z]{2}[0-9]{2}(?:[ \-]?[A-Z0-9]){11,30}"),
        _iban,
        needs="digits",
    ),
    Pattern(
        "pii.card",
        _compiled(
            r"\b(?:[3-6][0-9]{11,18}|(?:2[2-7]|8[1])[0-9]{14}|[2-68][0-9]{3}(?:[ .\-][0-9]{4}){2,3}[ .\-]?[0-9]{1,4}"
            r"|3[0-9]{3}[ .\-][0-9]{6}[ .\-][0-9]{4,5})\b"
        ),
        checksums.card,
        needs="digits",
    ),
    Pattern(
        "pii.phone",
        _compiled(r"\+[ ]?[1-9][0-9]{0,2}(?:[ .\-/()]{0,3}[0-9]){6,13}\b"),
        _telephone,
        needs="digits",
    ),
    Pattern(
        "pii.phone",
        _compiled(r"(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[.\- ])[2-9][0-9]{2}[.\- ][0-9]{4}(?:x[0-9]{1,6})?\b"),
        _telephone,
        needs="digits",
    ),
    Pattern(
        "pii.phone",
        _compiled(
            r"\b0[1-9](?:[ .\-][0-9]{2}){4}\b|\b0[1-9]0?-[0-9]{4}-[0-9]{4}\b"
            r"|\(0[0-9]{1,5}\) ?[0-9]{3,4}[ \-]?[0-9]{2,5}\b"
        ),
        _telephone,
        needs="digits",
    ),
    Pattern(
        "pii.phone",
        _compiled(r"\(?\b[0-9](?:[ .\-/()]{0,3}[0-9]){6,13}\b"),
        _telephone,
        PHONE_WORDS,
        needs="digits",
    ),
    Pattern(
        "pii.ip", _compiled(r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b"), _address, needs="digits", keeps=True
    ),
    Pattern(
        "pii.ip",
        _compiled(r"(?i)(?:\b[0-9a-f]{1,4}(?::{1,2}[0-9a-f]{1,4}){1,7}|::(?:[0-9a-f]{1,4}:){0,6}[0-9a-f]{1,4})\b"),
        _address,
        keeps=True,
    ),
    Pattern(
        "pii.birth_date",
        _compiled(
            r"\b(?:[0-9]{1,4}[.\-/ ][0-9]{1,2}[.\-/ ][0-9]{1,4}|[0-9]{1,2}\.? [a-zA-Z\x80-\xff]{3,12}\.?,? [0-9]{4}"
            r"|[a-zA-Z]{3,9}\.? [0-9]{1,2},? [0-9]{4})\b|\b[0-9]{4} ?年 ?[0-9]{1,2} ?月 ?[0-9]{1,2}"
        ),
        _day,
        BIRTH_WORDS,
        keeps=True,
    ),
    Pattern(
        "pii.passport",
        _compiled(r"(?i)\b[A-Z0-9]{6,12}\b"),
        _passport,
        PASSPORT_WORDS,
        needs="digits",
    ),
    _number("us", r"\b[0-9]{3}[ \-][0-9]{2}[ \-][0-9]{4}\b", checksums.us_ssn),
    _number(
        "us", r"\b[0-9]{9}\b", checksums.us_ssn, _words("ssn", "social security", "social_security")
    ),
    _number(
        "gb",
        r"(?i)\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ \-]?[0-9]{2}[ \-]?[0-9]{2}[ \-]?[0-9]{2}[ \-]?[A-D]\b",
        lambda text: checksums.gb_nino(text.upper()),
    ),
    _number(
        "gb", r"\b[0-9]{3}[ \-]?[0-9]{3}[ \-]?[0-9]{4}\b", checksums.gb_nhs, _words("nhs")
    ),
    _number("de", r"\b[1-9][0-9](?:[ ]?[0-9]{3}){3}\b", checksums.de_tax_id),
    _number(
        "fr",
        r"(?i)\b[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b",
        lambda text: checksums.fr_nir(text.upper()),
    ),
    _number(
        "es",
        r"(?i)\b(?:[0-9]{2}\.?[0-9]{3}\.?[0-9]{3}|[XYZ][ \-]?[0-9]{7})[ \-]?[A-HJ-NP-TV-Z]\b",
        lambda text: checksums.es_dni(text.upper()),
    ),
    _number(
        "it",
        r"(?i)\b[A-Z]{3} ?[A-Z]{3} ?[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2} ?[A-Z][0-9LMNP-V]{3}[A-Z]\b",
        lambda text: checksums.it_codice(text.upper()),
    ),
    _number(
        "nl", r"\b[0-9]{3}[ .]?[0-9]{3}[ .]?[0-9]{3}\b|\b[0-9]{4}\.[0-9]{2}\.[0-9]{3}\b", checksums.nl_bsn,
        _words("bsn", "burgerservice", "sofi"),
    ),
    _number("pl", r"\b[0-9]{11}\b", checksums.pl_pesel),
    _number("br", r"\b[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}\b", checksums.br_cpf),
    _number("se", r"\b(?:19|20)?[0-9]{6}[\-+][0-9]{4}\b|\b(?:19|20)[0-9]{10}\b", checksums.se_personal),
    _number(
        "se", r"\b[0-9]{10}\b", checksums.se_personal,
        _words("personn", "pnr", "samordning", "personal identity"),
    ),
    _number("in", r"\b[2-9][0-9]{3}[ \-][0-9]{4}[ \-][0-9]{4}\b", checksums.in_aadhaar),
    _number("in", r"\b[2-9][0-9]{11}\b", checksums.in_aadhaar, _words("aadhaar", "aadhar", "uidai", "आधार")),
    _number("in", r"\b[A-Z]{3}[ABCFGHLJPT][A-Z][0-9]{4}[A-Z]\b", None),
    _number(
        "jp", r"\b[0-9]{4}[ \-]?[0-9]{4}[ \-]?[0-9]{4}\b", checksums.jp_my_number,
        _words("my number", "mynumber", "my_number", "individual number", "マイナンバー", "個人番号"),
    ),
    Pattern(
        "secret.key",
        _compiled(
            r"-----BEGIN [A-Z ]{0,24}PRIVATE KEY|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}"
            r"|\bgithub_pat_[A-Za-z0-9_]{22,}|\bxox[abprs]-[A-Za-z0-9\-]{10,}|\bsk_live_[A-Za-z0-9]{16,}"
            r"|\bAIza[A-Za-z0-9_\-]{35}|\bsk-[A-Za-z0-9_\-]{20,}|\bglpat-[A-Za-z0-9_\-]{20}|\bnpm_[A-Za-z0-9]{36}"
            r"|\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}|\bAGE-SECRET-KEY-1[A-Z0-9]{50,}"
        ),
    ),
    Pattern(
        "secret.password",
        _compiled(
            r"(?i)(?:password|passwd|passphrase|passwort|contrase.{1,2}a|mot de passe|client_?secret|api[_\-]?key"
            r"""|access_?token|auth_?token)["']?\s{0,3}[:=]\s{0,3}["']?[^\s"',;<>\x1e]{6,}"""
        ),
        _secret,
        keeps=True,
    ),
    Pattern(
        "secret.password",
        _compiled(r"\b[a-z][a-z0-9+.\-]{1,20}://[^/\s:@\x1e]{0,64}:[^/\s@\x1e]{3,128}@"),
        _credentials,
        needs="@",
        keeps=True,
    ),
)  # fmt: skip
"""Every row.  A change of what is found is another :data:`VERSION`."""

VERSION: Final = "2"
UNKNOWN: Final = "pii.unknown"
"""The class of what could not be looked through: policies treat it as any personal data."""

CLASSES: Final = tuple(sorted({row.data_class for row in PATTERNS} | {UNKNOWN}))
"""Every class that can be found."""

CONTEXT_BYTES: Final = 48
"""How far before a find a word of its context may stand."""

DIGITS: Final = _compiled(r"[0-9](?:[^0-9\x1e]{0,3}[0-9]){3}")
"""What a text with any number of interest has: four digits close together, as an address of the Internet may have."""

CONTEXTS: Final = _compiled(
    "|".join(row.context.pattern.decode() for row in PATTERNS if row.context)
)
"""What a text has in which any row that asks for a context finds one."""

SHAPES: Final = _compiled(
    "|".join(
        f"(?:{row.expression.pattern.decode()})"
        for row in PATTERNS
        if row.needs == "digits" and row.context is None
    )
)
"""What a text has in which any row finds something that needs digits and asks for no context."""

_SEPARATORS: Final = str.maketrans("", "", " .-/()\n\t")


def is_one(row: Pattern, found: bytes, text: bytes, start: int) -> bool:
    """Whether what *row* found at *start* of *text* is one: its check holds, and its context is there."""
    if row.context is not None:
        before = text[max(0, start - CONTEXT_BYTES) : start].rpartition(b"\x1e")[2]
        if row.context.search(before) is None:
            return False
    if row.check is None:
        return True
    if (
        found.isdigit()
        and text[max(0, start - 1) : start] == b"."
        and text[start - 2 : start - 1].isdigit()
    ):
        return False  # the fraction of a number
    plain = found.decode(errors="replace")
    return row.check(plain if row.keeps else plain.translate(_SEPARATORS))
