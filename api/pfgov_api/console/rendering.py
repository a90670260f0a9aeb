"""From what a page found to HTML: templates, and how values are written in them.

Every value that a template writes is escaped, and characters that nobody sees or that turn the reading direction are
named instead of written.  Templates know no ledger; they get views, and words.
"""

import math
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

if TYPE_CHECKING:
    from jinja2 import Environment

_UNSEEN: Final = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202f\u205f-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
SHORTENED: Final = 100_000
ROUNDS_UP: Final = 999.5
"""From here on three digits say a thousand, which is one of the next unit."""

_MONTHS: Final = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]


def visible(text: str) -> str:
    """Return *text* with what cannot be seen, or would turn what follows, named.

    >>> visible("a\u202eb")
    'a[U+202E]b'
    """
    return _UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def numeral(value: float) -> str:
    """Return a number as people read it, never broken at the end of a line.

    Quantities have six decimals, and none of them is lost: what is not there yet is not said to be there.

    >>> numeral(3584).split(), numeral(7.5), numeral(0.1 + 0.2), numeral(1234567.125).split()
    (['3', '584'], '7.5', '0.3', ['1', '234', '567.125'])
    >>> numeral(999_999_999.999999).split(), numeral(99_999.999999).split()
    (['999', '999', '999.999999'], ['99', '999.999999'])
    >>> numeral(0.000001), numeral(0.00005), numeral(0.0001), numeral(-0.5)
    ('0.000001', '0.00005', '0.0001', '-0.5')
    """
    if value == int(value):
        return f"{int(value):,}".replace(",", "\u00a0")
    return f"{value:,.6f}".rstrip("0").rstrip(".").replace(",", "\u00a0")


def percent(share: float) -> str:
    """Return a share in whole per cent: 100 is all of it and 0 nothing, and what is near is not said to be there.

    >>> percent(0), percent(0.0004), percent(0.124), percent(0.9996), percent(1), percent(1.5)
    ('0', '<1', '12', '99', '100', '150')
    """
    if 0 < share < 0.01:
        return "<1"
    return str(99 if 0.99 < share < 1 else round(share * 100))


def hundredths(value: float) -> str:
    """Return a score to two places, never more than it is: a rule would refuse what is said here.

    >>> hundredths(0.987654), hundredths(0.29), hundredths(1), hundredths(0.07)
    ('0.98', '0.29', '1.00', '0.07')
    """
    return f"{math.floor(round(value * 100, 6)) / 100:.2f}"


def short(value: float) -> str:
    """Return a number for where there is room for five characters.

    >>> short(16), short(7.25), short(99_999).split(), short(123_456_789.25).split()
    ('16', '7.25', ['99', '999'], ['123', 'M'])
    >>> short(999_999_999).split(), short(999_499_999).split(), short(100_000).split(), short(2e18)
    (['1', 'G'], ['999', 'M'], ['100', 'k'], '2e+18')
    """
    if abs(value) < SHORTENED:
        return numeral(value)
    for size, letter in ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P")):
        if abs(value) < size * ROUNDS_UP:
            return f"{value / size:.3g}\u00a0{letter}"
    return f"{value:.2g}"


def clock(moment: str | None) -> str:
    """Return the time of day of an RFC 3339 moment, to the second."""
    return moment[11:19] if moment else ""


def day(moment: str | None) -> str:
    """Return the day of an RFC 3339 moment.

    >>> day("2026-11-28T23:59:58Z")
    '28 Nov 2026'
    """
    return f"{int(moment[8:10])} {_MONTHS[int(moment[5:7]) - 1]} {moment[:4]}" if moment else ""


def span(seconds: float) -> str:
    """Return a duration in the unit that fits.

    >>> span(45), span(150), span(7200), span(200_000)
    ('45 s', '2 min', '2 h', '2 d')
    """
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length * (1 if unit == "min" else 1.5):
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def words(name: str) -> str:
    """Return a name of the ledger as words: ``handoff_started`` becomes ``handoff started``."""
    return name.replace("_", " ").lower()


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun.

    >>> plural(1, "packet"), plural(3, "packet"), plural(2, "entry", "entries")
    ('1 packet', '3 packets', '2 entries')
    """
    return f"{numeral(count)} {one if count == 1 else many or one + 's'}"


def segment(text: str) -> str:
    """Return *text* as one part of a path."""
    return quote(text, safe="")


def _finalize(value: Any) -> Any:
    if value is None:
        return ""
    return visible(value) if type(value) is str else value


@cache
def environment() -> "Environment":
    """Return the templates."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = files("pfgov_api.console") / "templates"

    def load(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    made = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_finalize,
    )
    for one in (numeral, short, percent, hundredths, clock, day, span, words, segment, visible):
        made.filters[one.__name__] = one
    words_of: dict[str, Any] = {"plural": plural}
    cast("dict[str, Any]", made.globals).update(words_of)
    return made


def render(template: str, **values: Any) -> str:
    """Return the template of that name, filled in."""
    return str(environment().get_template(template).render(**values))
