import hashlib
import stat
from pathlib import Path

import pytest
from unit.ledger.ledger_logs import LOG, LOG_VKEY, ORIGIN, WITNESS

from pfgov_ledger import errors, keys, note


def test_a_key_file_is_private_and_says_what_it_is(tmp_path: Path) -> None:
    """The file is 0600, one labelled line, and opening it gives the same key, name and role."""
    path = tmp_path / "log.key"
    keys.write_file(path, LOG)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith(f"pfgov-private-key-v1 log PRIVATE+KEY+{ORIGIN}+")
    found = keys.open_signer(f"file:{path}")
    assert (found.public, found.name, found.role) == (LOG.public, ORIGIN, "log")
    assert found.sign(b"m") == LOG.sign(b"m")


def test_a_key_file_is_there_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an interrupted writing left beside it is removed by the next one, and a failure leaves nothing."""
    path, part = tmp_path / "log.key", tmp_path / "log.key.part"
    part.write_text("pfgov-private-key-v1 log PRIV")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", _broken)
        with pytest.raises(errors.KeyFileError):
            keys.write_file(path, LOG)
    assert list(tmp_path.iterdir()) == []
    part.write_text("pfgov-private-key-v1 log PRIV")
    keys.write_file(path, LOG)
    assert [found.name for found in tmp_path.iterdir()] == ["log.key"]
    assert keys.file_signer(path).public == LOG.public


def _broken(_: int) -> None:
    raise OSError(5, "Input/output error")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    """Permissions wider than the owner's refuse the key instead of warning."""
    path = tmp_path / "log.key"
    keys.write_file(path, LOG)
    path.chmod(mode)
    with pytest.raises(errors.KeyFileError, match="chmod 600"):
        keys.file_signer(path)


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    """A second write to the same path is refused: the first key would be lost."""
    path = tmp_path / "log.key"
    keys.write_file(path, LOG)
    with pytest.raises(errors.KeyFileError):
        keys.write_file(path, WITNESS)
    assert keys.file_signer(path).public == LOG.public


def test_a_key_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a missing variable and an unknown scheme each say so."""
    monkeypatch.delenv("PFGOV_TEST_KEY", raising=False)
    for uri, kind in (
        (f"file:{tmp_path / 'none'}", errors.KeyFileError),
        ("env:PFGOV_TEST_KEY", errors.KeyFileError),
        ("kms:x", errors.SchemeError),
        ("nonsense", errors.SchemeError),
    ):
        with pytest.raises(kind):
            keys.open_signer(uri)


def test_a_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable holds the same line as the file."""
    monkeypatch.setenv("PFGOV_TEST_KEY", LOG.to_text())
    assert keys.open_signer("env:PFGOV_TEST_KEY").public == LOG.public


def test_a_plugged_in_scheme_is_found() -> None:
    """A key service adds one row."""
    assert (
        keys.open_signer("kms:eu/1", {"kms": lambda rest: LOG if rest == "eu/1" else WITNESS})
        is LOG
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: "", lambda t: t.replace("pfgov-private-key-v1", "pfgov-private-key-v2"),
        lambda t: t.replace(" log ", " root "), lambda t: t.replace("PRIVATE+KEY+", ""),
        lambda t: t.replace(ORIGIN, "other.example"), lambda t: t[:-6] + "\n", lambda t: t.replace("+AQ", "+AR"),
        lambda t: t + t, lambda t: "\x00" * 40,
    ],
)  # fmt: skip
def test_a_damaged_key_is_refused_without_showing_it(damage: object) -> None:
    """Any damage to the line is found, and the message never quotes it."""
    assert callable(damage)
    text = LOG.to_text()
    secret = text.rsplit("+", 1)[1].strip()
    with pytest.raises(errors.KeyTextError) as caught:
        keys.SeedSigner.from_text(damage(text))
    assert secret[:20] not in str(caught.value)


def test_secrets_stay_out_of_reprs() -> None:
    """Neither the seed nor its base64 appears when a signer is printed."""
    shown = repr(LOG) + str(LOG)
    assert "AQEBAQ" not in shown
    assert keys.key_id(LOG.public) in shown


def test_generated_keys_differ_and_check_their_names() -> None:
    """Two new keys are two keys; a role or name outside the rules makes none."""
    one, two = (keys.generate(role="issuer", name="i") for _ in range(2))
    assert one.public != two.public
    for role, name, seed in (
        ("boss", "n", bytes(32)),
        ("log", "a b", bytes(32)),
        ("log", "", bytes(32)),
        ("log", "n", b""),
    ):
        with pytest.raises(errors.KeyTextError):
            keys.SeedSigner(role=role, name=name, seed=seed)


def test_a_key_id_is_the_digest_of_the_raw_key() -> None:
    """Entries name keys by SHA-256 of the 32 bytes."""
    assert keys.key_id(LOG.public) == hashlib.sha256(LOG.public).hexdigest()


def test_a_witness_key_has_its_own_type() -> None:
    """A witness's verifier key is of type 0x04, the others' of type 0x01."""
    assert keys.vkey_of(WITNESS).algorithm == note.COSIGNATURE_V1
    assert LOG_VKEY.algorithm == note.ED25519


def test_the_public_half_cannot_sign() -> None:
    """Where the private key is elsewhere, signing is refused, not faked."""
    half = keys.PublicSigner("issuer", "i", LOG.public)
    with pytest.raises(errors.UsageError):
        half.sign(b"m")


def test_anchors_are_read_as_written() -> None:
    """With and without the genesis leaf; comments and blank lines do not matter."""
    for leaf in (None, bytes(range(32))):
        anchor = keys.Anchor(LOG_VKEY, leaf)
        assert keys.parse_anchor(anchor.to_text()) == anchor
    assert keys.parse_anchor(f"# note\n\n{LOG_VKEY}\n").genesis_leaf is None
    assert keys.parse_anchor(f"# note\r\n{LOG_VKEY}\r").genesis_leaf is None


@pytest.mark.parametrize("end", "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
def test_no_other_character_ends_a_comment(end: str) -> None:
    """What stands in a comment pins something, for whoever's library takes more characters for the end of a line."""
    text = f"# note{end}genesis {'cd' * 32}\n{LOG_VKEY}\n"
    assert keys.parse_anchor(text).genesis_leaf is None


@pytest.mark.parametrize(
    "text",
    [
        "", "# only a comment\n", "nonsense\n", f"{LOG_VKEY}\ngenesis 00\n", f"{LOG_VKEY}\ngenesis {'AB' * 32}\n",
        f"{LOG_VKEY}\n{'ab' * 32}\n", f"{LOG_VKEY}\ngenesis {'ab' * 32}\nmore\n", f"{keys.vkey_of(WITNESS)}\n",
        f"{LOG_VKEY}\n" + "#" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_an_anchor(text: str) -> None:
    """A damaged anchor, or one with a key that is no log key, pins nothing."""
    with pytest.raises(errors.KeyTextError):
        keys.parse_anchor(text)
