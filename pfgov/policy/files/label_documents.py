"""Files of declared labels: positioned YAML nodes to frozen models, with every mistake collected."""

from collections.abc import Collection, Sequence
from typing import Final, cast, get_args

from pfgov.core.characters import normalized
from pfgov.core.spelling import LABELS_HOLD, as_seen
from pfgov.limits import LABEL_LENGTH_MAX
from pfgov.policy import limits
from pfgov.policy.files.documents import check_api_version, read_metadata
from pfgov.policy.files.labels import ENUM_MAX, PATTERN_LENGTH_MAX, SETTERS, steps_of
from pfgov.policy.files.model import Label, LabelChange, LabelOwner, Labels, LabelType
from pfgov.policy.files.reader import LABEL_NAME, PATH_NAME, Reader
from pfgov.policy.files.source import Entries, Items, Node, Scalar

PATTERNS_WRONG_MAX: Final = 32
"""So many texts that are no patterns are told of one file: one that is too large is found out late."""

PATTERNS_COST: Final = (
    "what is repeated has its steps as often: repeat it without a number, as in `[a-z]+`"
)


def read_labels(reader: Reader, node: Node, broken: set[str] | None = None) -> Labels | None:
    """Read a ``kind: Labels`` document; None when it is too broken to be compiled.

    The names of labels that are too broken to be declared are added to *broken*.
    """
    found = reader.entries(
        node,
        "a labels file",
        required=("apiVersion", "kind", "metadata"),
        optional=("packet", "member"),
    )
    check_api_version(reader, found)
    name, version, description = read_metadata(
        reader, found.get("metadata"), "the labels", PATH_NAME
    )
    owners: tuple[LabelOwner, ...] = ("packet", "member")
    made: list[Label] = []
    sound = _sound_patterns(reader, [found.get(owner) for owner in owners])
    for owner in owners:
        for key, value in reader.pairs(found.get(owner), f"`{owner}`", limits.NAMES_MAX):
            label = _label(reader, owner, key, value, sound)
            if label is not None:
                made.append(label)
            elif broken is not None:
                broken.add(key.text)
    if name is None:
        return None
    return Labels(name, version, description, reader.place(node), tuple(made))


def _label(
    reader: Reader, owner: LabelOwner, key: Scalar, node: Node, sound: Collection[str]
) -> Label | None:
    what = f"the label `{key.text}`"
    name = reader.name(key, "the label", LABEL_NAME)
    found = reader.entries(
        node, what, required=("type", "set_by"), optional=("enum", "pattern", "change")
    )
    kind = reader.choice(found.get("type"), "`type`", get_args(LabelType))
    change = reader.choice(found.get("change"), "`change`", get_args(LabelChange)) or "never"
    setters = [
        setter
        for item in reader.items(found.get("set_by"), "`set_by`", len(SETTERS))
        if (setter := reader.choice(item, "who sets it", SETTERS)) is not None
    ]
    values = [
        value
        for item in reader.items(found.get("enum"), "`enum`", ENUM_MAX)
        if (value := reader.string(item, "a value", limit=LABEL_LENGTH_MAX)) is not None
    ]
    _sound_values(reader, found.get("enum"))
    text = reader.string(found.get("pattern"), "`pattern`", limit=PATTERN_LENGTH_MAX)
    _sound_label(reader, found, what, kind, change, values, text)
    if name is None or kind is None or not setters:
        return None
    return Label(
        name=name,
        owner=owner,
        type=cast("LabelType", kind),
        set_by=tuple(dict.fromkeys(setters)),
        place=reader.place(key),
        enum=tuple(values),
        pattern=text if text in sound else None,
        change=cast("LabelChange", change),
    )


def _sound_values(reader: Reader, node: Node | None) -> None:
    """Refuse a value that the border refuses: nobody could ever set it."""
    for item in node.items if isinstance(node, Items) else ():
        text = item.value if isinstance(item, Scalar) else None
        if isinstance(text, str) and text and as_seen(text) != text:
            message = f"no label can have the value {text!a}"
            reader.error("label", message, item, f"write {as_seen(text)!r}: {LABELS_HOLD}")


def _sound_label(
    reader: Reader,
    found: dict[str, Node],
    what: str,
    kind: str | None,
    change: str,
    values: list[str],
    text: str | None,
) -> None:
    for key in ("enum", "pattern"):
        if key in found and kind not in {None, "string"}:
            reader.error("label", f"{what} is {kind}: `{key}` is for strings", found[key])
    if "enum" in found and "pattern" in found:
        reader.error("label", f"{what} has an enum and a pattern", found["pattern"], "keep one")
    setters = found.get("set_by")
    if isinstance(setters, Items) and not setters.items:
        reader.error("label", f"nobody may set {what}", setters, "name who may")
    if len(set(values)) != len(values):
        reader.error("label", f"{what} lists a value twice", found["enum"])
    if change == "narrow" and kind == "string" and not values:
        reader.error(
            "label",
            f"{what} has no order in which it could become narrower",
            found["change"],
            "list its values under enum, the widest first",
        )
    if text is not None and normalized("NFC", text) != text:
        message = f"{what} has the pattern {text!a}, which no value matches"
        reader.error("label", message, found["pattern"], LABELS_HOLD)


def _sound_patterns(reader: Reader, owners: Sequence[Node | None]) -> set[str]:
    """Return the patterns of all labels that are ones, and that a value can be held to in time.

    Where they take too long no more of them is compiled.
    """
    sound: set[str] = set()
    steps = 0
    for label in (
        label for owner in owners if isinstance(owner, Entries) for _, label in owner.pairs
    ):
        node = label.get("pattern") if isinstance(label, Entries) else None
        if not isinstance(node, Scalar) or not 0 < len(node.text) <= PATTERN_LENGTH_MAX:
            continue  # said where the label is read
        try:
            steps += steps_of(node.text)
            sound.add(node.text)
        except ValueError as error:
            hint = PATTERNS_COST if "too large" in str(error) else None  # in RE2's words
            reader.error("label", str(error), node, hint)
            steps += limits.LABEL_PATTERN_STEPS_MAX // PATTERNS_WRONG_MAX
        if steps > limits.LABEL_PATTERN_STEPS_MAX:
            most = limits.LABEL_PATTERN_STEPS_MAX
            message = f"the patterns up to here have more than {most:,} steps in one file"
            reader.error("too_costly", message, node, PATTERNS_COST)
            return sound - {node.text}
    return sound
