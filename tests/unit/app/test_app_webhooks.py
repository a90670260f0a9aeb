"""Webhooks: signed, told in order and again, given up onto a list, and sent only where everybody may be reached."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pfgov.app.webhook import delivering
from pfgov.app.webhook.addresses import AddressError, address_of, is_public
from pfgov.app.webhook.delivering import FILE, Delivery, Happened, Poster
from pfgov.app.webhook.endpoints import Endpoint, Webhooks, read_webhooks
from pfgov.client.webhooks import WebhookError, new_secret, sign, verify
from pfgov.errors import InvalidError, PfgovError

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NOW = 1_790_000_000
BODY = b'{"type":"packet_completed"}'


# --- the scheme --------------------------------------------------------------------------------


def test_webhook_signatures_are_those_of_the_scheme() -> None:
    """What is signed is not the id, the time and the bytes under HMAC-SHA256, as the scheme says."""
    headers = sign(SECRET, "entry-7", NOW, BODY)
    mac = hmac.new(bytes(range(32)), f"entry-7.{NOW}.".encode() + BODY, hashlib.sha256)
    expected = "v1," + base64.b64encode(mac.digest()).decode()
    assert headers == {
        "webhook-id": "entry-7",
        "webhook-timestamp": str(NOW),
        "webhook-signature": expected,
    }
    assert verify(SECRET, headers, BODY, now=NOW) == {"type": "packet_completed"}
    rotated = {**headers, "webhook-signature": f"v1,AAAA v1a,x {expected}"}
    assert verify(SECRET, rotated, BODY, now=NOW + 299)
    shouted = {name.upper(): value for name, value in headers.items()}
    assert verify(SECRET, shouted, BODY, now=NOW)


def test_webhook_the_published_example_verifies() -> None:
    """A message that the scheme's own libraries sign is refused."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert verify(secret, headers, b'{"test": 2432232314}', now=1614265330) == {"test": 2432232314}


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "entry-8"},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": str(NOW - 301)},
        {"webhook-timestamp": str(NOW + 301)},
        {"webhook-timestamp": "+1"},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "٣"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "é"},
        {"webhook-id": None},
        {"webhook-signature": None},
    ],
)
def test_webhook_what_was_changed_is_refused(change: dict[str, str | None]) -> None:
    """A message that somebody changed, or kept, is believed."""
    headers: dict[str, Any] = {**sign(SECRET, "entry-7", NOW, BODY), **change}
    with pytest.raises(WebhookError):
        verify(SECRET, {k: v for k, v in headers.items() if v is not None}, BODY, now=NOW)
    good = sign(SECRET, "entry-7", NOW, BODY)
    with pytest.raises(WebhookError):
        verify(SECRET, good, BODY + b" ", now=NOW)
    with pytest.raises(WebhookError):
        verify(new_secret(), good, BODY, now=NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_x", "whsec_" + "A" * 28, "é"])
def test_webhook_a_weak_secret_is_none(secret: str) -> None:
    """A secret that can be guessed signs."""
    with pytest.raises(WebhookError):
        sign(secret, "x", NOW, b"")


# --- addresses ---------------------------------------------------------------------------------

SPECIAL = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "fec0::1", "64:ff9b::a00:1", "2002:7f00:1::", "ff02::1", "192.0.2.1", "198.18.0.1",
    "192.0.0.192", "192.88.99.1", "168.63.129.16", "3fff::1", "5f00::1", "::7f00:1", "::ffff:0:7f00:1",
    "64:ff9b:1::a00:1", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "100::1", "fd00:ec2::254",
]  # fmt: skip


@pytest.mark.parametrize("address", SPECIAL)
def test_webhook_a_special_address_is_refused(address: str) -> None:
    """A message goes to the machine itself, to a cloud's metadata, or into the network behind it."""
    assert not is_public(address)
    with pytest.raises(AddressError):
        address_of("hooks.example", 443, look_up=lambda *_: ["93.184.216.34", address])
    with pytest.raises(AddressError):
        address_of("x", 443, allowed=["hooks.example"], look_up=lambda *_: [address])
    allowed = ["Hooks.Example."]
    assert address_of("hooks.example", 443, allowed=allowed, look_up=lambda *_: [address])


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_webhook_a_public_address_is_taken(address: str) -> None:
    """Nobody can be told of anything."""
    assert address_of("x", 443, look_up=lambda *_: [address]) == address


# --- telling -----------------------------------------------------------------------------------


def _entries(count: int, kind: str = "packet_completed") -> list[Happened]:
    return [Happened(n, kind, "2026-11-29T00:00:00Z", f"packet/p{n}", "done") for n in range(count)]


class _Receiver:
    """Takes messages, or answers as it is told."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.heard: list[str] = []

    def __call__(self, to: Endpoint, body: bytes, headers: dict[str, str]) -> int:
        verify(to.secret, headers, body, now=NOW)
        self.heard.append(headers["webhook-id"])
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        return answer


def _endpoint(**more: Any) -> Endpoint:
    fields: dict[str, Any] = {
        "name": "one", "host": "hooks.example", "port": 443, "path": "/", "is_plain": False, "secret": SECRET,
        "types": frozenset(), **more,
    }  # fmt: skip
    return Endpoint(**fields)


def _delivery(
    folder: Path, entries: list[Happened], send: Any, *, start: int = 0, **more: Any
) -> Delivery:
    return Delivery(
        Webhooks((_endpoint(**more),), frozenset()), folder,
        since=lambda position, limit: entries[position : position + limit],
        size=lambda: start, now=lambda: NOW, send=send, pauses=(0.0, 0.0),
    )  # fmt: skip


def _tell(delivery: Delivery, entries: list[Happened]) -> None:
    to = delivery._webhooks.endpoints[0]
    for one in entries[delivery.standings["one"].next :]:
        assert delivery.tell(to, one)


def test_webhook_is_told_in_order_and_once_after_a_restart(tmp_path: Path) -> None:
    """Entries are skipped, told out of order, or all again after every start."""
    entries, receiver = _entries(4), _Receiver()
    _tell(_delivery(tmp_path, entries[:2], receiver), entries[:2])
    again = _delivery(tmp_path, entries, receiver, start=4)
    assert again.standings["one"].next == 2
    _tell(again, entries)
    assert receiver.heard == [f"entry-{n}" for n in range(4)]
    fresh = _delivery(tmp_path / "other", entries, receiver, start=4)
    assert fresh.standings["one"].next == 4


def test_webhook_is_told_again_then_given_up_onto_a_list(tmp_path: Path) -> None:
    """A receiver that is away for a moment misses an entry; one that is away for good stops everything."""
    entries = _entries(4)
    receiver = _Receiver(500, OSError("gone"), 204, 302, 404, PfgovError("no"), 500, 204)
    delivery = _delivery(tmp_path, entries, receiver)
    _tell(delivery, entries)
    assert receiver.heard == ["entry-0"] * 3 + ["entry-1"] * 3 + ["entry-2", "entry-3"]
    (shown,) = _delivery(tmp_path, entries, receiver).shown()
    assert [(one["position"], one["tries"], one["why"]) for one in shown["dead"]] == [
        (1, 3, "no"), (2, 3, "it answered 500"),
    ]  # fmt: skip
    assert shown["next"] == 4
    assert SECRET not in (tmp_path / FILE).read_text()
    assert "secret" not in str(shown)


def test_webhook_hears_only_what_it_asked_for(tmp_path: Path) -> None:
    """A receiver of one kind of event hears of all."""
    entries = [*_entries(2, "packet_created"), *_entries(4)[2:]]
    receiver = _Receiver()
    _tell(_delivery(tmp_path, entries, receiver, types=frozenset({"packet_completed"})), entries)
    assert receiver.heard == ["entry-2", "entry-3"]


@pytest.mark.parametrize(
    "kept",
    [
        '{"one": {"next": ',
        "[" * 100_000,
        '{"one": {"next": 1e400, "dropped": 0, "dead": []}}',
        '{"one": {"next": -1, "dropped": 0, "dead": []}}',
        '{"one": {"next": 1, "dropped": 0, "dead": {}}}',
        '{"one": {"next": 1, "dropped": 0, "dead": [5]}}',
    ],
    ids=["cut off", "deep", "infinite", "negative", "no list", "no letters"],
)
def test_webhook_what_is_kept_may_be_damaged(tmp_path: Path, kept: str) -> None:
    """A file that was damaged keeps the server from starting, or ends the thread of its receiver later."""
    (tmp_path / FILE).write_text(kept)
    assert _delivery(tmp_path, [], _Receiver(), start=7).standings["one"].next == 7


def test_webhook_what_is_kept_is_its_owners_alone(tmp_path: Path) -> None:
    """Others on the machine read who is told of what, and why it failed."""
    delivery = _delivery(tmp_path, [], _Receiver(), start=1)
    delivery._keep()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_webhook_what_nobody_foresaw_ends_no_receiver(tmp_path: Path) -> None:
    """An error of the machine while entries are read, or sent, leaves a receiver untold for good."""
    entries, receiver = (
        _entries(3),
        _Receiver(MemoryError(), 204, RuntimeError("no thread"), 204, 204),
    )
    delivery = _delivery(tmp_path, entries, receiver)
    delivery.start()
    for _ in range(1_000):
        if delivery.standings["one"].next == 3:
            break
        time.sleep(0.01)
    delivery.stop()
    assert receiver.heard == [f"entry-{n}" for n in (0, 0, 1, 1, 2)]


def test_webhook_a_name_that_can_be_none_has_no_address() -> None:
    """A label of 64 characters, which the resolver refuses in its own way, ends the thread of its receiver."""
    with pytest.raises(OSError, match="cannot be a host's name"):
        address_of(f"{'a' * 64}.example", 443)


def test_webhook_a_restart_skips_nothing_for_a_receiver_that_took_nothing_yet(
    tmp_path: Path,
) -> None:
    """A receiver that is new and away misses all that is committed until the server is started again."""
    first = _delivery(tmp_path, [], _Receiver(), start=1)
    first.start()
    first.stop()
    assert _delivery(tmp_path, [], _Receiver(), start=4).standings["one"].next == 1


def test_webhook_so_many_dead_letters_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that is gone for good fills the disk, or the newest dead letters are dropped."""
    monkeypatch.setattr(delivering, "DEAD_MAX", 2)
    entries = _entries(4)
    delivery = _delivery(tmp_path, entries, _Receiver(*[500] * 99))
    _tell(delivery, entries)
    (shown,) = delivery.shown()
    assert [one["position"] for one in shown["dead"]] == [2, 3]
    assert shown["dropped"] == 2


def test_webhook_a_receiver_that_hangs_is_given_up_and_keeps_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that takes a connection and says nothing holds what follows up, or the end of the server."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(10)
        to: dict[str, Any] = {
            "host": "localhost",
            "port": silent.getsockname()[1],
            "is_plain": True,
        }
        post = Poster(frozenset({"localhost"}), lambda *_: ["127.0.0.1"])
        with monkeypatch.context() as patched:
            patched.setattr(delivering, "TIMEOUT_SECONDS", 0.1)
            with pytest.raises(TimeoutError):
                post(_endpoint(**to), BODY, sign(SECRET, "entry-7", NOW, BODY))
        monkeypatch.setattr(delivering, "STOP_SECONDS", 0.1)
        delivery = _delivery(tmp_path, _entries(1), post, **to)
        delivery.start()
        silent.accept()[0].close()  # the first connection's
        kept, _ = silent.accept()
        begun = time.monotonic()
        delivery.stop()
        assert time.monotonic() - begun < 5.0
        kept.close()
        assert delivery.standings["one"].next == 0


class _Handler(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((dict(self.headers), body))
        self.send_response(302 if self.path == "/away" else 200)
        self.send_header("Location", "http://169.254.169.254/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[int]:
    """A receiver on this machine; its port."""
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_webhook_goes_over_the_wire(receiver: int, tmp_path: Path) -> None:
    """A real receiver cannot verify what it gets, a redirect is followed, or the machine itself is reached unasked."""
    local = _endpoint(host="localhost", port=receiver, is_plain=True)
    away = _endpoint(host="localhost", port=receiver, is_plain=True, path="/away")
    post = Poster(frozenset({"localhost"}), lambda *_: ["127.0.0.1"])
    headers = sign(SECRET, "entry-7", NOW, BODY)
    assert post(local, BODY, headers) == 200
    assert post(away, BODY, headers) == 302
    seen, body = _Handler.seen[-2]
    assert verify(SECRET, seen, body, now=NOW) == {"type": "packet_completed"}
    assert seen["Host"] == f"localhost:{receiver}"
    literal = _endpoint(host="::1", port=receiver, is_plain=True)
    assert Poster(frozenset({"::1"}), lambda *_: ["127.0.0.1"])(literal, BODY, headers) == 200
    assert _Handler.seen[-1][0]["Host"] == f"[::1]:{receiver}"
    count = len(_Handler.seen)
    with pytest.raises(AddressError):
        Poster(frozenset())(local, BODY, headers)
    assert len(_Handler.seen) == count


# --- the file ----------------------------------------------------------------------------------

GOOD = {"name": "one", "url": "https://hooks.example/x?y=1", "secret_file": "s"}


def _file(folder: Path, *endpoints: dict[str, Any], allow: object = None) -> Path:
    (folder / "s").write_text(SECRET + "\n")
    lines = [] if allow is None else [f"allow = {json.dumps(allow)}"]
    for one in endpoints:
        lines += ["[[endpoint]]", *(f"{name} = {json.dumps(value)}" for name, value in one.items())]
    path = folder / "hooks.toml"
    path.write_text("\n".join(lines))
    return path


def test_webhook_the_file_is_read(tmp_path: Path) -> None:
    """What an operator wrote is not what happens."""
    local = {**GOOD, "name": "two", "url": "http://inside:81", "types": ["packet_failed"]}
    found = read_webhooks(_file(tmp_path, GOOD, local, allow=["inside"]))
    one, two = found.endpoints
    assert (one.host, one.port, one.path, one.is_plain) == ("hooks.example", 443, "/x?y=1", False)
    assert (two.port, two.path, two.types) == (81, "/", frozenset({"packet_failed"}))


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [GOOD, GOOD],
        [{**GOOD, "url": "http://hooks.example/"}],
        [{**GOOD, "url": "https://user:pw@hooks.example/"}],
        [{**GOOD, "url": "https://hooks.example/#x"}],
        [{**GOOD, "url": "file:///etc/passwd"}],
        [{**GOOD, "url": "https://hooks.example:x/"}],
        [{**GOOD, "url": "https:///x"}],
        [{**GOOD, "url": "https://hooks.example/a b"}],
        [{**GOOD, "url": "https://hooks .example/"}],
        [{**GOOD, "url": "https://hooks.example/\u00e9"}],
        [{**GOOD, "url": "https://hooks.example/a\nb"}],
        [{**GOOD, "url": "https://b\u00fccher.example/"}],
        [{**GOOD, "url": "https://hooks.example:0/"}],
        [{**GOOD, "types": ["Packet_completed"]}],
        [{**GOOD, "types": "packet_completed"}],
        [{**GOOD, "secret": "x"}],
        [{"name": "x"}],
        [{**GOOD, "secret_file": "hooks.toml"}],
        [{**GOOD, "name": f"n{n}"} for n in range(17)],
    ],
)
def test_webhook_a_bad_file_is_refused(tmp_path: Path, bad: list[dict[str, Any]]) -> None:
    """A server starts and tells nobody, or the wrong one."""
    with pytest.raises(InvalidError) as caught:
        read_webhooks(_file(tmp_path, *bad))
    assert caught.value.code == "webhook.file"
