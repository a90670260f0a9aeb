"""Words as sentences need them: numbers with their noun, nouns with their article.

Knows English, and nothing that pfgov is about.
"""

from collections.abc import Iterable


def counted(count: int, one: str, several: str | None = None) -> str:
    """Return how many there are of what; without *several* an s is added.

    >>> counted(1, "entry", "entries"), counted(2, "move")
    ('1 entry', '2 moves')
    """
    return f"{count} {one}" if count == 1 else f"{count} {several or f'{one}s'}"


def with_article(noun: str) -> str:
    """Return *noun* with its indefinite article.

    >>> with_article("operator"), with_article("reviewer")
    ('an operator', 'a reviewer')
    """
    return f"an {noun}" if noun[:1].lower() in set("aeiou") else f"a {noun}"


def all_of(nouns: Iterable[str]) -> str:
    """Return *nouns* as one phrase.

    >>> all_of(["operator", "reviewer"])
    'an operator and a reviewer'
    """
    return " and ".join(map(with_article, nouns))
