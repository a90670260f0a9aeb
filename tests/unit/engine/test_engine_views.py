"""What a redaction leaves of a context, and how an owner's progress is laid over what it never saw."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfgov.engine.sequencing.context_views import overlaid, without
from pfgov.errors import InvalidError

PEOPLE = {"people": [{"name": "a", "email": "x"}, {"name": "b"}, {"name": "c", "email": "z"}]}


def cut(document: object, *paths: str) -> Any:
    """Return what *paths* leave of *document*."""
    return json.loads(without(json.dumps(document).encode(), paths))


def laid(written: object, whole: object, *paths: str) -> Any:
    """Return *written* over *whole*."""
    return json.loads(overlaid(json.dumps(written).encode(), json.dumps(whole).encode(), paths))


@pytest.mark.parametrize(
    ("document", "path", "left"),
    [
        ({"a": {"b": 1, "c": 2}}, "/a/b", {"a": {"c": 2}}),
        ({"a": 1}, "/b", {"a": 1}),
        ({"a": {"b": 1}}, "/a/c/d", {"a": {"b": 1}}),
        ({"a": None}, "/a/b", {"a": None}),
        ({"a~/": 1}, "/a~0~1", {}),
        # a step that meets a list applies to each element, an index to one; elements keep their places
        (PEOPLE, "/people/email", {"people": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}),
        (PEOPLE, "/people/*/email", {"people": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}),
        (PEOPLE, "/people/0/email", {"people": [{"name": "a"}, *PEOPLE["people"][1:]]}),
        (PEOPLE, "/people/1", {"people": [PEOPLE["people"][0], None, PEOPLE["people"][2]]}),
        (PEOPLE, "/people/*", {"people": [None, None, None]}),
        (PEOPLE, "/people/9/email", PEOPLE),
        ([[{"a": 1, "b": 2}], [{"a": 3}]], "/a", [[{"b": 2}], [{}]]),
        ({"a": [{"01": 1}, 5]}, "/a/01", {"a": [{}, None]}),
        ({"*": 1, "a": 2}, "/*", {"a": 2}),
        # what cannot be taken out takes with it what it is in
        ({"customer": "jane <jane@x.example>"}, "/customer/email", {}),
        ({"people": [{"email": "x"}, "jane@x.example", 7]}, "/people/email", {"people": [{}, None, None]}),
        ("jane@x.example", "/customer/email", None),
        ({"a": 1}, "", None),
    ],
)  # fmt: skip
def test_views_withhold_what_a_policy_author_means(
    document: object, path: str, left: object
) -> None:
    """A path leaves a value that it names, in a list or out of it, or takes more than it names."""
    assert cut(document, path) == left
    assert laid(left, document, path) == document


def test_views_of_what_is_no_json_are_refused() -> None:
    """A context that cannot be redacted passes as a whole."""
    with pytest.raises(InvalidError) as caught:
        without(b"\xff", ("/a",))
    assert caught.value.code == "context.not_json"


def test_views_progress_in_a_list_keeps_what_was_withheld() -> None:
    """An owner's change of a list loses, or lets it write, what it never saw in the elements."""
    written = {
        "people": [{"name": "A", "email": "forged"}, {"name": "b"}, {"name": "c"}, {"name": "new"}]
    }
    whole = laid(written, PEOPLE, "/people/email")
    assert whole == {
        "people": [{"name": "A", "email": "x"}, {"name": "b"}, {"name": "c", "email": "z"}, {"name": "new"}]
    }  # fmt: skip
    assert laid({}, {"a": {"b": {"c": 1}}}, "/a/b/c") == {"a": {"b": {"c": 1}}}
    assert laid({"a": 7}, {"a": {"b": 1}}, "/a/b") == {"a": {"b": 1}}
    assert laid({"people": {"x": 1}}, PEOPLE, "/people/email") == {"people": {"x": 1}}


@pytest.mark.parametrize("written", [{"people": [{"name": "b"}]}, {"people": []}, {}])
def test_views_a_list_that_holds_withheld_values_does_not_shrink(written: object) -> None:
    """A redacted owner that drops an element destroys what it was not to see, or moves it to another element."""
    with pytest.raises(InvalidError) as caught:
        laid(written, PEOPLE, "/people/email")
    assert caught.value.code == "context.list_shortened"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
PATHS = st.lists(st.sampled_from(["a", "b", "c", "0", "1", "*"]), max_size=4).map(
    lambda steps: "".join(f"/{step}" for step in steps)
)


@given(document=JSON, paths=st.lists(PATHS, max_size=3))
def test_views_withholding_twice_is_once_and_laying_over_gives_all_back(
    document: object, paths: list[str]
) -> None:
    """A redaction leaves something for a second one to take, or an untouched view does not give the whole back."""
    view = cut(document, *paths)
    assert cut(view, *paths) == view
    assert laid(view, document, *paths) == document
