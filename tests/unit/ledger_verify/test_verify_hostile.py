"""Files made to hurt: each gets a code and an exit status, quickly and in bounded memory."""

import io
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from struct import pack

import pytest
from conformance.ledger_verify.corpus.build import VECTORS

from pfgov_ledger import errors, keys, reader
from pfgov_ledger.export import GzipWriter
from pfgov_ledger.report import Report
from pfgov_ledger.verify import verify

ANCHOR = keys.parse_anchor((VECTORS / "anchor.txt").read_text())
FULL = (VECTORS / "golden/v1/full.lineage.jsonl").read_bytes()
HEADER = FULL.split(b"\n")[0] + b"\n"


def zipped(data: bytes) -> bytes:
    """*data* in the one gzip form."""
    out = io.BytesIO()
    packed = GzipWriter(out)
    packed.write(data)
    packed.close()
    return out.getvalue()


def test_damage_at_the_end_of_the_compression_costs_no_more_than_elsewhere() -> None:
    """Each byte before the damage is joined to the whole line before it: 256 kB of file take ten seconds."""
    line = b"x" * 130_000 + b"\n"
    pieces = [line[at : at + 65_535] for at in range(0, len(line), 65_535)] * 2
    stored = [b"\0" + pack("<HH", len(one), len(one) ^ 0xFFFF) + one for one in pieces]
    lines = reader.LineReader(io.BytesIO(reader.GZIP_HEADER + b"".join(stored) + b"\x07"))
    begun, found = time.process_time(), list[bytes]()
    with pytest.raises(errors.GzipError):
        found.extend(lines)
    assert time.process_time() - begun < 2
    assert found == [line[:-1]] * 2


class Pieces:
    """A stream that gives one piece at each reading."""

    def __init__(self, *pieces: bytes) -> None:
        self._left = [one for one in pieces if one]

    def read(self, size: int = -1, /) -> bytes:
        del size
        return self._left.pop(0) if self._left else b""


def test_compression_ends_where_it_ends_however_it_is_read() -> None:
    """A whole file is called truncated where its last bytes give nothing more, or what follows it is not seen."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflate.compress(FULL) + deflate.flush(zlib.Z_SYNC_FLUSH) + b"\3\0"
    whole = reader.GZIP_HEADER + body + pack("<II", zlib.crc32(FULL), len(FULL))
    for cut in range(len(whole) - 16, len(whole) + 1):
        lines = reader.LineReader(Pieces(whole[:cut], whole[cut:]))
        assert (list(lines), lines.is_cut) == (FULL.split(b"\n")[:-1], False), cut
        short = reader.LineReader(Pieces(whole[:cut], whole[cut:-1]))
        list(short)
        assert short.is_cut is (cut < len(whole)), cut
        with pytest.raises(errors.GzipTrailingError):
            list(reader.LineReader(Pieces(whole[:cut], whole[cut:], b"more")))


class Counting:
    """A stream that gives *blocks* and counts what was asked of it."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._held = b""
        self.given = 0

    def read(self, size: int = -1, /) -> bytes:
        while size < 0 or len(self._held) < size:
            block = next(self._blocks, b"")
            if not block:
                break
            self._held += block
        out, self._held = self._held[:size], self._held[size:]
        self.given += len(out)
        return out


def repeated(first: bytes, block: bytes, times: int) -> Iterator[bytes]:
    """*first*, then *block* again and again."""
    yield first
    for _ in range(times):
        yield block


def judged(source: object) -> Report:
    """The report of a hostile file."""
    return verify(source, anchor=ANCHOR)  # type: ignore[arg-type]


def code_of(report: Report) -> str | None:
    """The code of the failure of integrity."""
    return report.verdicts["integrity"].code


@pytest.mark.parametrize("start", [b"", HEADER])
def test_a_line_of_a_gigabyte_is_not_read(start: bytes) -> None:
    """A line without end is read to its end before it is refused."""
    stream = Counting(repeated(start, b"A" * 65_536, 16_384))
    report = judged(stream)
    assert (report.exit_status, code_of(report)) == (1, "ledger.line_oversize")
    assert stream.given < 2_000_000


def test_ten_gigabytes_of_zeros_are_not_inflated() -> None:
    """A compressed bomb is inflated beyond the first line's limit."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = deflater.compress(bytes(20_000_000)) + deflater.flush()
    stream = Counting(repeated(reader.GZIP_HEADER, packed, 500))
    report = judged(stream)
    assert (report.exit_status, code_of(report)) == (1, "ledger.line_oversize")
    assert stream.given < 2_000_000


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "ledger.empty"),
        (b"\n", "ledger.not_an_export"),
        (b"\x00" * 100, "ledger.not_an_export"),
        (os.urandom(1) + b"\xfe\xfd" * 5000, "ledger.not_an_export"),
        (b"hello\n", "ledger.not_an_export"),
        (b"[]\n", "ledger.not_an_export"),
        (b"{}\n", "ledger.not_an_export"),
        (b"{" * 60_000 + b"\n", "ledger.not_an_export"),
        (b"\xef\xbb\xbf" + FULL, "ledger.byte_order_mark"),
        (FULL.replace(b"\n", b"\r\n"), "ledger.line_ending"),
        (HEADER + b"\n", "ledger.not_json"),
        (HEADER + HEADER, "ledger.line_malformed"),
        (HEADER + b"[" * 60_000 + b"]" * 60_000 + b"\n", "ledger.too_deep"),
        (HEADER + b'{"e":"","s":""}\n', "ledger.not_json"),
        (HEADER + b'{"e":"AA=A","s":""}\n', "ledger.base64"),
        (b"\x1f\x8b\x08\x08rubbish", "ledger.gzip_malformed"),
        (reader.GZIP_HEADER + b"\xff" * 100, "ledger.gzip_malformed"),
        (b'{"entry":7}', "ledger.not_an_export"),
        (b'{"entry":"AAAA"}', "ledger.not_json"),
        (b'{"entry":' + b"[" * 100_000, "ledger.not_an_export"),
        (b"c2sp.org/tlog-proof@v1\n", "ledger.proof_malformed"),
        (b"c2sp.org/tlog-proof@v1\nindex 0\n\nrubbish", "ledger.proof_malformed"),
    ],
)
def test_rubbish_has_a_code(data: bytes, code: str) -> None:
    """A file that is no export is not refused by its code with exit status 1."""
    report = judged(io.BytesIO(data))
    assert (report.exit_status, code_of(report)) == (1, code)


def test_an_unknown_version_is_not_checked() -> None:
    """A file of a version to come is called false, or passes."""
    for line in (HEADER.replace(b'"lineage":1', b'"lineage":2'), b'{"lineage":3}\n'):
        report = judged(io.BytesIO(line + FULL))
        assert report.exit_status == 4
        assert {verdict.why for verdict in report.verdicts.values()} == {"version"}


def test_every_cut_is_truncated() -> None:
    """A file that was cut somewhere is called false, or whole."""
    for end in [*range(10, 700, 13), *range(700, len(FULL), 997), len(FULL) - 1]:
        report = judged(io.BytesIO(FULL[:end]))
        assert report.exit_status == 5, end
        assert report.verdicts["integrity"].why == "truncated"


def test_every_cut_of_a_compressed_file_is_truncated() -> None:
    """A compressed file that was cut somewhere is called false, or whole."""
    whole = zipped(FULL)
    for end in [*range(1, 40), *range(40, len(whole), 211), *range(len(whole) - 12, len(whole))]:
        assert judged(io.BytesIO(whole[:end])).exit_status == 5, end
    assert judged(io.BytesIO(whole)).exit_status == 0


class Dribble(io.BytesIO):
    """A stream that gives out its first bytes one by one, as a pipe may."""

    def read(self, size: int | None = -1, /) -> bytes:
        """One byte of the first twenty; then whatever is asked for."""
        return super().read(1 if self.tell() < 20 else size)


def test_a_slow_pipe_is_no_cut() -> None:
    """A compressed or plain file that comes in small pieces is called cut or malformed."""
    for whole in (FULL, zipped(FULL)):
        assert judged(Dribble(whole)).exit_status == 0
        assert judged(Dribble(whole[:15])).exit_status == 5


def test_what_cannot_be_read_is_not_checked(tmp_path: Path) -> None:
    """A missing file or a folder is an exception, or a failure."""
    for path in (tmp_path / "missing", tmp_path):
        report = verify(path, anchor=ANCHOR)
        assert report.exit_status == 4
        assert report.verdicts["integrity"].why == "unreadable"


@pytest.mark.process
@pytest.mark.unmeasured
def test_memory_does_not_follow_a_hostile_file(tmp_path: Path) -> None:
    """A compressed file that inflates to gigabytes of lines makes the verifier large."""
    path = tmp_path / "bomb.lineage.jsonl.gz"
    line = b'{"checkpoint":"' + b"a" * 100_000 + b'"}\n'
    with path.open("wb") as file:
        packed = GzipWriter(file, 9)
        packed.write(HEADER)
        for _ in range(2_000):
            packed.write(line)
        packed.close()
    # VmHWM begins anew at exec; ru_maxrss would begin with the size of the pytest that forked
    script = (
        "import re; from pathlib import Path; from pfgov_ledger.verify import verify;"
        f"r = verify(Path({str(path)!r}), anchor=None);"
        "peak = re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text());"
        "print(r.exit_status, peak.group(1))"
    )
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not say how large a process became")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    status, kilobytes = done.stdout.split()
    assert status == b"1"
    assert int(kilobytes) < 150_000
