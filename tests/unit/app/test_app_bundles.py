"""Bundles: the same bytes from the same files, and nothing that was changed gets through."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from support import policy_kit as kit

from pfgov.app import publishers
from pfgov.app.change import bundling
from pfgov.errors import ForbiddenError, PfgovError, PolicyError
from pfgov.model import PublisherRotation, check_tree, parse, write_json
from pfgov_ledger import dsse, envelope
from pfgov_ledger.keys import SeedSigner

KEY = SeedSigner(role="publisher", name="acme", seed=b"\1" * 32)
OTHER = SeedSigner(role="publisher", name="other", seed=b"\2" * 32)
TEST = """apiVersion: pfgov/v1
kind: PolicyTest
policy: placement
cases:
  - name: elsewhere
    action: retain
    packet: {with: {}, as: packet}
    members: [{with: {region: us}, as: member}]
    expect: {member: deny}
"""
RULES = '  - {id: eu, require: member.region == "eu"}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of policies with a test, a fixture and a folder below it."""
    placing = kit.policy(RULES, on="[register, place, retain]")
    more = kit.policy(RULES, name="more", on="[assign]")
    kit.write(
        tmp_path / "set",
        {"a.policy.yaml": placing, "a.test.yaml": TEST, "more/more.policy.yaml": more},
    )
    return tmp_path / "set"


def built(folder: Path) -> bytes:
    """Return its bundle."""
    return bundling.build(folder, KEY, publisher="acme", version="1.2.0")


def test_the_same_files_make_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """A bundle depends on the folder's name, on the time, or on the order in which files were written."""
    again = tmp_path / "elsewhere"
    again.mkdir()
    for path in sorted(folder.rglob("*.yaml"), reverse=True):
        copy = again / path.relative_to(folder)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    assert built(folder) == built(again)
    found = bundling.opened(built(folder))
    assert bundling.compiled(found).digest == found.manifest.policy
    assert sorted(found.files) == ["a.policy.yaml", "a.test.yaml", "more/more.policy.yaml"]
    assert found.ref.key == KEY.public.hex()


def test_a_byte_that_is_changed_anywhere_is_found(folder: Path) -> None:
    """A bundle is taken with one byte more, less, or other than its publisher signed."""
    raw = built(folder)
    places = random.Random(7).sample(range(len(raw) - 1), 400)
    for at in [0, 1, len(raw) - 2, *places]:
        for wrong in (
            raw[:at] + raw[at + 1 :],
            raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :],
            raw[:at] + b" " + raw[at:],
        ):
            with pytest.raises(bundling.BundleError) as refusal:
                bundling.opened(wrong)
            assert refusal.value.code == "bundle.altered"


def parts(raw: bytes) -> dict[str, Any]:
    """Return what a bundle is made of."""
    found: dict[str, Any] = json.loads(raw)
    return found


def whole(tree: dict[str, Any]) -> bytes:
    """Return the bundle of these parts."""
    return envelope.encode(tree) + b"\n"


def resealed(raw: bytes, **change: Any) -> bytes:
    """Return the bundle with another manifest, rightly signed."""
    tree = parts(raw)
    payload, _ = envelope.unseal(tree["envelope"], dsse.BUNDLE_TYPE)
    manifest: Any = json.loads(payload) | change
    tree["envelope"] = envelope.seal(KEY, dsse.BUNDLE_TYPE, envelope.encode(manifest))
    return whole(tree)


def test_what_is_signed_rightly_and_is_not_a_bundle(folder: Path) -> None:
    """A publisher's key vouches for parts that are not in the manifest, or for paths that lead out of a folder."""
    raw = built(folder)
    name = "more/more.policy.yaml"
    moved = parts(raw)
    moved["files"]["../out.policy.yaml"] = moved["files"].pop(name)
    digests = {
        ("../out.policy.yaml" if key == name else key): value
        for key, value in bundling.opened(raw).manifest.files.items()
    }
    added = parts(raw)
    added["files"]["z.policy.yaml"] = "x"
    other_type = parts(raw)
    payload, _ = envelope.unseal(other_type["envelope"], dsse.BUNDLE_TYPE)
    other_type["envelope"] = envelope.seal(KEY, dsse.IMPACT_TYPE, payload)
    twice = parts(raw)
    twice["envelope"]["signatures"] *= 2
    for wrong in (
        resealed(whole(moved), files=digests),
        whole(added),
        whole(other_type),
        whole(twice),
        resealed(raw, policy="0" * 64),
        resealed(raw, version="../1"),
        resealed(raw, format="pfgov.bundle/v2"),
        resealed(raw, more=1),
        b"{}",
        b"[" * 100_000,
        raw * 2,
        b" " * (bundling.BUNDLE_BYTES_MAX + 1),
    ):
        with pytest.raises(bundling.BundleError):
            bundling.opened(wrong)


def test_another_key_is_another_publisher(folder: Path) -> None:
    """What somebody else signed is taken for the publisher's."""
    raw = bundling.build(folder, OTHER, publisher="acme", version="1.2.0")
    assert bundling.opened(raw).ref.key == OTHER.public.hex() != KEY.public.hex()
    tree = parts(raw)
    tree["envelope"]["signatures"][0]["keyid"] = KEY.public.hex()
    with pytest.raises(bundling.BundleError):
        bundling.opened(whole(tree))


def test_files_that_make_another_set_are_refused(folder: Path) -> None:
    """A bundle whose document is not what its files make is let in."""
    raw = built(folder)
    tree = parts(raw)
    document = tree["document"].replace('"eu"', '"us"')
    tree["document"] = document
    wrong = resealed(whole(tree), policy=hashlib.sha256(document.encode()).hexdigest())
    with pytest.raises(PolicyError) as refusal:
        bundling.compiled(bundling.opened(wrong))
    assert refusal.value.code == "bundle.mismatch"


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("b.policy.yaml", "nonsense", "policy.invalid"),
        ("b.test.yaml", TEST.replace("region: us", "region: eu"), "bundle.tests"),
    ],
)
def test_what_is_not_right_is_not_bundled(folder: Path, name: str, text: str, code: str) -> None:
    """A set that does not compile, or whose tests fail, becomes a bundle."""
    (folder / name).write_text(text)
    with pytest.raises(PolicyError) as refusal:
        built(folder)
    assert refusal.value.code == code


def test_bundles_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle may have any number of files, or any size."""
    for name, most in (("FILES_MAX", 1), ("BUNDLE_BYTES_MAX", 100)):
        with monkeypatch.context() as patch:
            patch.setattr(bundling, name, most)
            with pytest.raises(PolicyError, match="more than"):
                built(folder)


def test_a_rotation_is_signed_by_both(tmp_path: Path) -> None:
    """One of two keys is enough to hand over, or a signature for another ledger or name."""
    asked = publishers.rotation("here", "acme", KEY, OTHER, None)
    publishers.check_rotation(asked)
    tree: dict[str, Any] = json.loads(write_json(asked.wire()))
    for change in (
        {"origin": "there"},
        {"name": "acme2"},
        {"old": "0" * 64},
        {"signatures": tree["signatures"][::-1]},
        {"signatures": [tree["signatures"][0], tree["signatures"][0]]},
        {"signatures": tree["signatures"][:1]},
    ):
        with pytest.raises(ForbiddenError) as refusal:
            publishers.check_rotation(parse(PublisherRotation, check_tree(tree | change)))
        assert refusal.value.code == "publisher.signature"


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """A key file is overwritten, or its public half is another's."""
    path = tmp_path / "acme.key"
    public = publishers.make_key(path, "acme")
    assert publishers.signer(str(path)).public.hex() == public
    with pytest.raises(PfgovError):
        publishers.make_key(path, "acme")
