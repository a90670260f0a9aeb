"""A log in memory: what the corpus and the tests of the verifiers write and export.

It appends through the real :class:`pfgov_ledger.appender.Appender` and answers
:class:`pfgov_ledger.export.ExportSource`.  Keys and salts come from fixed seeds, so that the
corpus can be built again byte for byte.
"""

import hashlib
import io
from collections.abc import Iterator

from pfgov_ledger import appender, commitment, entry, export, keys, merkle, note, subject_map

ORIGIN = "log.example/fixture-1"
START = 1_782_331_200_000_000


def signer(role: str, name: str = "") -> keys.SeedSigner:
    """A key that is the same in every run: its seed is a hash of its role and name."""
    seed = hashlib.sha256(f"pfgov test key {role} {name}".encode()).digest()
    return keys.SeedSigner(role=role, name=name or ORIGIN, seed=seed)


class MemoryLog:
    """Entries, signatures and checkpoints of one log, and the payloads beside them."""

    def __init__(self, origin: str = ORIGIN) -> None:
        self._origin = origin
        self.log_key = signer("log", origin)
        self.issuer = signer("issuer", f"{origin}/engine-1")
        self.recovery = signer("recovery", f"{origin}/recovery")
        self.appender = self._new_appender(appender.Head(origin))
        self.rows: list[appender.Staged] = []
        self.notes: dict[int, bytes] = {}
        self.payloads: dict[str, tuple[bytes, bytes]] = {}
        self.policies: dict[str, bytes] = {}
        self.subjects: dict[str, list[int]] = {}
        self.time = START
        self.shown_until: int | None = None
        """A lie: the subject map ends at this size, whatever it is asked for."""
        self.leaf_of: dict[str, bytes] = {}
        """Another lie: the leaf that the map gives for a subject."""
        self._salts = 0

    def _new_appender(self, head: appender.Head) -> appender.Appender:
        return appender.Appender(head=head, issuer=self.issuer, log=self.log_key)

    def sign_with(self, issuer: keys.SeedSigner, log: keys.SeedSigner | None = None) -> None:
        """Go on under other keys."""
        self.issuer = issuer
        self.log_key = log or self.log_key
        heads = {
            subject: (len(at), self.rows[at[-1]].leaf) for subject, at in self.subjects.items()
        }
        self.appender = appender.Appender(
            head=self.appender.head,
            issuer=self.issuer,
            log=self.log_key,
            subject_head=heads.get,
        )

    # --- writing ---------------------------------------------------------------------------

    def add(self, event: str, subject: str, body: dict[str, object], *, index: int = 0) -> int:
        """Append an entry a millisecond later; *index* is its number within its command."""
        self.time += 1_000
        seq = len(self.rows)
        staged = self.appender.append(
            type=event,
            subject=subject,
            time=self.time,
            command_seq=seq - index,
            command_index=index,
            body=body,
        )
        self.rows.append(staged)
        self.subjects.setdefault(subject, []).append(seq)
        return seq

    def commit(self) -> bytes:
        """Sign a checkpoint of everything so far."""
        self.notes[len(self.rows)] = signed = self.appender.checkpoint()
        return signed

    def commit_index(self) -> int:
        """Append an index entry as the last of its group, and commit."""
        self.commit()
        size = len(self.rows)
        body: dict[str, object] = {
            "root": self.map_at(size).root().hex(),
            "size": size,
            "subjects": len(self.subjects),
        }
        seq = self.add("index_committed", "ledger", body)
        self.commit()
        return seq

    def commitment(self, subject: str, field: str, payload: bytes) -> dict[str, object]:
        """A commitment object for a body; the payload is kept beside the log."""
        self._salts += 1
        salt = hashlib.sha256(b"pfgov test salt %d" % self._salts).digest()
        digest = commitment.commit(
            origin=self._origin, subject=subject, field=field, salt=salt, payload=payload
        ).hex()
        self.payloads[digest] = (salt, payload)
        return {"digest": digest, "size": commitment.size_bucket(len(payload))}

    def policy(self, content: bytes) -> str:
        """Keep a policy set; returns its digest."""
        digest = hashlib.sha256(content).hexdigest()
        self.policies[digest] = content
        return digest

    def anchor(self) -> keys.Anchor:
        """What a verifier pins."""
        vkey = note.vkey(self._origin, signer("log", self._origin).public)
        return keys.Anchor(vkey, self.rows[0].leaf)

    def map_at(self, size: int) -> subject_map.SubjectMap:
        """The subject map over the first *size* entries."""
        whole = subject_map.SubjectMap()
        for name, last, leaf in self.subject_heads(size):
            whole.update(name, last, leaf)
        return whole

    # --- ExportSource ----------------------------------------------------------------------

    @property
    def origin(self) -> str:
        return self._origin

    def size(self) -> int:
        return len(self.rows)

    def entries(self, start: int, stop: int) -> Iterator[tuple[bytes, bytes]]:
        for row in self.rows[start:stop]:
            yield row.raw, row.signature or b""

    def subject_entries(self, subject: str) -> Iterator[tuple[bytes, bytes]]:
        for seq in self.subjects.get(subject, []):
            yield self.rows[seq].raw, self.rows[seq].signature or b""

    def subject_heads(self, size: int) -> Iterator[tuple[str, int, bytes]]:
        size = size if self.shown_until is None else min(size, self.shown_until)
        for subject, at in self.subjects.items():
            before = [seq for seq in at if seq < size]
            if before:
                leaf = self.leaf_of.get(subject, self.rows[before[-1]].leaf)
                yield subject, len(before) - 1, leaf

    def leaf_hashes(self, start: int, stop: int) -> Iterator[bytes]:
        for row in self.rows[start:stop]:
            yield row.leaf

    def checkpoint(self, size: int) -> bytes | None:
        return self.notes.get(size)

    def latest_checkpoint(self) -> bytes:
        return self.notes[max(self.notes)]

    def latest_index(self) -> int | None:
        indexes = [
            seq
            for seq in self.subjects.get("ledger", [])
            if entry.parse(self.rows[seq].raw).type == "index_committed"
        ]
        return indexes[-1] if indexes else None

    def attachments(self, commitment: str) -> tuple[bytes, bytes] | None:
        return self.payloads.get(commitment)

    def policy_set(self, digest: str) -> bytes | None:
        return self.policies.get(digest)

    # --- exports ---------------------------------------------------------------------------

    def full(self, *, since: int | None = None) -> bytes:
        """A full export."""
        out = io.BytesIO()
        export.write_full(self, out, since=since)
        return out.getvalue()

    def of(self, subject: str, *, since: int | None = None) -> bytes:
        """A subject export."""
        out = io.BytesIO()
        export.write_subject(self, subject, out, since=since)
        return out.getvalue()

    def range(self, start: int, stop: int) -> bytes:
        """A range export."""
        out = io.BytesIO()
        export.write_range(self, start, stop, out)
        return out.getvalue()

    def tree(self) -> merkle.LeafTree:
        """Every subtree of the log."""
        return merkle.LeafTree(row.leaf for row in self.rows)
