"""The layout of expressions: white space in order, and nothing else."""

import random
import re

from property.cel.cel_worlds import draw_clause

from pfgov.policy.cel import parse
from pfgov.policy.cel.layout import laid_out

RUNS = 600


def test_layout_keeps_the_meaning_and_is_its_own_layout() -> None:
    """However the blanks stood, the same tree comes out; a text in order is left as it is."""
    rng = random.Random(20261129)
    changed = 0
    for run in range(RUNS):
        source = draw_clause(rng, run)[0].condition.source
        neat = laid_out(source)
        assert parse(neat) == parse(source), source
        assert laid_out(neat) == neat
        if '"' in source or "'" in source:
            continue
        blank = " " * rng.randint(0, 2)
        loose = re.sub(r"\s*(&&|\|\||==|>=|<=|,|\()\s*", rf"{blank}\1{blank}", source)
        assert laid_out(loose) == neat, loose
        changed += loose != neat
    assert changed > RUNS // 20
