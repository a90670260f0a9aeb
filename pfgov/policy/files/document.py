"""A policy set as canonical bytes: its identity, and what the ledger keeps of it.

The document holds every resolved policy, the kernel, the imported definitions, the schema of the
facts and the semantics number, in the ledger's JSON profile (no floats, free-form maps as pairs,
``ledger/FORMAT.md`` section 2).  The set's digest is the SHA-256 of these bytes, so that an
attachment's content digest *is* the policy set digest.  Texts are kept as they were written: what
is signed is what the author wrote.  Nothing here evaluates.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from pfgov.core.commands import Obligation
from pfgov.core.verdicts import Point
from pfgov.decoding import Reader
from pfgov.errors import PolicyError
from pfgov.policy.facts import OLDER_SCHEMAS, PLACE, SEMANTICS, schema_rows
from pfgov.policy.files import params
from pfgov.policy.files.model import (
    Bundle,
    Definitions,
    Label,
    LabelChange,
    LabelOwner,
    Labels,
    LabelType,
    Mode,
    Param,
    Place,
    Policy,
    Rule,
    RuleKind,
    Text,
    Variable,
)  # fmt: skip
from pfgov.policy.files.reader import IDENTIFIER, LABEL_NAME, NAME, PATH_NAME
from pfgov.policy.limits import DOCUMENT_BYTES_MAX
from pfgov_ledger import canonical
from pfgov_ledger.errors import LedgerError

FORMAT: Final = "pfgov/policy-set/v1"

LABELS_SINCE: Final = 2
"""The semantics since which a document says which labels are declared."""

_PLACE: Final = Place("policy set")


class _Doc(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A part of the document."""


class _Rule(_Doc, frozen=True, kw_only=True):
    id: str
    kind: RuleKind
    on: tuple[Point, ...]
    when: str | None
    condition: str | None
    to: str | None
    expires: int | None
    message: str | None
    obligations: tuple[Obligation, ...]
    approvals: int = 1


class _Policy(_Doc, frozen=True, kw_only=True):
    name: str
    version: str
    description: str
    mode: Mode
    on: tuple[Point, ...]
    imports: tuple[str, ...]
    params: tuple[tuple[str, str, Any], ...]
    variables: tuple[tuple[str, str], ...]
    rules: tuple[_Rule, ...]


class _Definitions(_Doc, frozen=True, kw_only=True):
    name: str
    version: str
    description: str
    params: tuple[tuple[str, str, Any], ...]
    variables: tuple[tuple[str, str], ...]


class _Label(_Doc, frozen=True, kw_only=True):
    name: str
    owner: LabelOwner
    type: LabelType
    enum: tuple[str, ...]
    pattern: str | None
    set_by: tuple[str, ...]
    change: LabelChange


class _Labels(_Doc, frozen=True, kw_only=True):
    name: str
    version: str
    description: str
    labels: tuple[_Label, ...]


class _Set(_Doc, frozen=True, kw_only=True):
    format: Literal["pfgov/policy-set/v1"]
    semantics: int
    schema: list[list[str]]
    policies: tuple[_Policy, ...]
    definitions: tuple[_Definitions, ...]
    labels: tuple[_Labels, ...] = ()


_SET: Final = Reader[_Set](_Set)


def digest_of(document: bytes) -> str:
    """Return the identity of a set: the hex SHA-256 of its document."""
    return hashlib.sha256(document).hexdigest()


def encode(bundle: Bundle) -> bytes:
    """Return the canonical document of *bundle*.

    Raises:
        PolicyError: It is larger than a document may be, or holds a character that no entry may.
    """
    semantics = bundle.semantics or SEMANTICS
    value: dict[str, object] = {
        "format": FORMAT,
        "semantics": semantics,
        "schema": bundle.schema if bundle.schema is not None else schema_rows(),
        "policies": [_policy(policy) for policy in bundle.policies],
        "definitions": [
            {
                "name": definitions.name,
                "version": definitions.version,
                "description": definitions.description,
                "params": _params(definitions.params),
                "variables": _variables(definitions.variables),
            }
            for definitions in bundle.definitions
        ],
    }
    if semantics >= LABELS_SINCE:
        value["labels"] = [_labels(labels) for labels in bundle.labels]
    try:
        raw = canonical.encode(value)
    except LedgerError as error:
        raise PolicyError(
            f"a text in the policy set cannot be recorded: {error}", code="policy.text"
        ) from None
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise PolicyError(
            f"the policy set takes {len(raw)} bytes; at most {DOCUMENT_BYTES_MAX} can be recorded",
            code="policy.too_large",
        )
    return raw


def _params(constants: Sequence[Param]) -> list[object]:
    return [[item.name, item.type, params.to_document(item.value)] for item in constants]


def _variables(variables: Sequence[Variable]) -> list[object]:
    return [[item.name, item.expression.text] for item in variables]


def _policy(policy: Policy) -> dict[str, object]:
    return {
        "name": policy.name,
        "version": policy.version,
        "description": policy.description,
        "mode": policy.mode,
        "on": list(policy.on),
        "imports": [item.text for item in policy.imports],
        "params": _params(policy.params),
        "variables": _variables(policy.variables),
        "rules": [_rule(rule) for rule in policy.rules],
    }


def _labels(labels: Labels) -> dict[str, object]:
    return {
        "name": labels.name,
        "version": labels.version,
        "description": labels.description,
        "labels": [
            {
                "name": label.name,
                "owner": label.owner,
                "type": label.type,
                "enum": list(label.enum),
                "pattern": label.pattern,
                "set_by": list(label.set_by),
                "change": label.change,
            }
            for label in labels.labels
        ],
    }


def _rule(rule: Rule) -> dict[str, object]:
    more = {"approvals": rule.approvals} if rule.approvals > 1 else {}
    return {
        **more,
        "id": rule.id,
        "kind": rule.kind,
        "on": list(rule.on),
        "when": rule.when.text if rule.when else None,
        "condition": rule.condition.text if rule.condition else None,
        "to": rule.to,
        "expires": rule.expires,
        "message": rule.message.text if rule.message else None,
        "obligations": [
            msgspec.json.decode(msgspec.json.encode(item)) for item in rule.obligations
        ],
    }


# --- the way back ---------------------------------------------------------------------------


def decode(document: bytes) -> Bundle:
    """Return the bundle that *document* describes, shape checked, nothing compiled.

    Raises:
        PolicyError: It is not the canonical document of a policy set (``policy.document``), or of a
            set with other semantics than ours (``policy.semantics``).
    """
    try:
        canonical.decode(document)
        found = _SET.decode(document)
        _distinct([policy.name for policy in found.policies])
        _distinct([definitions.name for definitions in found.definitions])
        _distinct([labels.name for labels in found.labels])
        is_old = found.semantics in OLDER_SCHEMAS
        bundle = Bundle(
            policies=tuple(_from_policy(policy) for policy in found.policies),
            definitions=tuple(_from_definitions(item) for item in found.definitions),
            labels=tuple(_from_labels(item) for item in found.labels),
            semantics=found.semantics if is_old else None,
            schema=found.schema if is_old else None,
        )
    except (LedgerError, msgspec.MsgspecError, ValueError) as error:
        raise PolicyError(
            f"this is not the document of a policy set: {error}", code="policy.document"
        ) from None
    if not _is_known(found.semantics, found.schema):
        known = ", ".join(map(str, (*OLDER_SCHEMAS, SEMANTICS)))
        raise PolicyError(
            f"the policy set has semantics {found.semantics}; this engine implements {known}",
            code="policy.semantics",
            hint="use the release of pfgov that wrote it",
        )
    if encode(bundle) != document:
        raise PolicyError(
            "the document is not the canonical form of what it says", code="policy.document"
        )
    return bundle


def _is_known(semantics: int, schema: list[list[str]]) -> bool:
    if semantics == SEMANTICS:
        return schema == schema_rows()
    rows = hashlib.sha256(canonical.encode(schema)).hexdigest()
    return OLDER_SCHEMAS.get(semantics) == rows


def _distinct(names: list[str]) -> None:
    if names != sorted(set(names)):
        raise ValueError("names repeat or are out of order")


def _named(name: str, pattern: Any) -> str:
    if not pattern.fullmatch(name):
        raise ValueError(f"{name!r} is not a name")
    return name


def _text(text: str | None) -> Text | None:
    return None if text is None else Text(text, _PLACE)


def _from_params(rows: Sequence[tuple[str, str, Any]]) -> tuple[Param, ...]:
    made: list[Param] = []
    for name, type_name, value in rows:
        if params.normal_type(type_name) != type_name:
            raise ValueError(f"{type_name!r} is not a type")
        exact = params.from_document(type_name, value)
        made.append(Param(_named(name, IDENTIFIER), type_name, exact, _PLACE))
    return tuple(made)


def _from_variables(rows: Sequence[tuple[str, str]]) -> tuple[Variable, ...]:
    return tuple(
        Variable(_named(name, IDENTIFIER), Text(text, _PLACE), _PLACE) for name, text in rows
    )


def _from_definitions(found: _Definitions) -> Definitions:
    return Definitions(
        name=_named(found.name, PATH_NAME),
        version=found.version,
        description=found.description,
        place=_PLACE,
        params=_from_params(found.params),
        variables=_from_variables(found.variables),
    )


def _from_labels(found: _Labels) -> Labels:
    keys = [(label.owner, label.name) for label in found.labels]
    if len(set(keys)) != len(keys):
        raise ValueError(f"the labels of {found.name!r} repeat")
    return Labels(
        name=_named(found.name, PATH_NAME),
        version=found.version,
        description=found.description,
        place=_PLACE,
        labels=tuple(_from_label(label) for label in found.labels),
    )


def _from_label(found: _Label) -> Label:
    return Label(
        name=_named(found.name, LABEL_NAME),
        owner=found.owner,
        type=found.type,
        set_by=found.set_by,
        place=_PLACE,
        enum=found.enum,
        pattern=found.pattern,
        change=found.change,
    )


def _from_policy(found: _Policy) -> Policy:
    ids = [rule.id for rule in found.rules]
    if len(set(ids)) != len(ids) or any(set(rule.on) - set(found.on) for rule in found.rules):
        raise ValueError(f"the rules of {found.name!r} repeat, or name other decision points")
    return Policy(
        name=_named(found.name, NAME),
        version=found.version,
        description=found.description,
        on=found.on,
        rules=tuple(_from_rule(rule) for rule in found.rules),
        place=_PLACE,
        mode=found.mode,
        imports=tuple(Text(name, _PLACE) for name in found.imports),
        params=_from_params(found.params),
        variables=_from_variables(found.variables),
    )


def _from_rule(found: _Rule) -> Rule:
    sound = {
        "require": found.condition is not None and found.to is None,
        "deny": found.condition is not None and found.to is None and not found.obligations,
        "escalate": found.condition is None and found.when is not None and found.to is not None,
        "oblige": found.condition is None and found.when is not None and bool(found.obligations),
    }
    is_asked_oddly = found.approvals < 1 or (found.approvals > 1 and found.kind != "escalate")
    if (
        not sound[found.kind]
        or is_asked_oddly
        or (found.kind == "escalate" and set(found.on) - set(PLACE))
    ):
        raise ValueError(f"the rule {found.id!r} is not a sound {found.kind} rule")
    return Rule(
        id=_named(found.id, NAME),
        kind=found.kind,
        on=found.on,
        place=_PLACE,
        when=_text(found.when),
        condition=_text(found.condition),
        to=found.to,
        expires=found.expires,
        message=_text(found.message),
        obligations=found.obligations,
        approvals=found.approvals,
    )
