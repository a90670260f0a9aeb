"""Dependencies are declared, constrained to one version, and used."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def canonical(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    """Everything that pyproject names, extras included."""
    lines = [
        *PROJECT["dependencies"],
        *(one for extra in PROJECT["optional-dependencies"].values() for one in extra),
    ]
    return {canonical(re.split(r"[<>=!~;\[ ]", line)[0]) for line in lines}


def constrained() -> list[str]:
    """The lines of the constraints."""
    return (ROOT / "constraints.txt").read_text().splitlines()


def test_constraints_are_plain() -> None:
    """Each constraint is a name and a version: no address of a registry, no hash, no comment."""
    assert [
        line
        for line in constrained()
        if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)
    ] == []


def test_constraints_name_each_once() -> None:
    """No name is constrained twice."""
    names = [canonical(line.partition("==")[0]) for line in constrained()]
    assert len(set(names)) == len(names)


def test_what_is_declared_is_constrained() -> None:
    """Everything that pyproject asks for has one version that is tested."""
    optional = {"matplotlib"}  # plots only; never installed by a make target
    names = {canonical(line.partition("==")[0]) for line in constrained()}
    assert declared() - names - optional == set()


def test_the_auditor_needs_one_distribution() -> None:
    """The one library of the verifier is a dependency of its own, so that it can be installed with that alone."""
    assert "cryptography" in declared()
