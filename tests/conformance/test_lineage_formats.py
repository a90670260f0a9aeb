"""What others' libraries make of a translated export: accepted, whole, and traceable to the entries it came from."""

import base64
import copy
import hashlib
import io
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from conformance.ledger_verify.corpus.story import begin, create

from pfgov.lineage import FORMATS, NotVerifiedError, convert, verified
from pfgov.lineage.cose import CannotSignError
from pfgov.lineage.formats import UnknownFormatError
from pfgov.lineage.text import line
from pfgov.lineage.traces import EVENTS_MAX
from pfgov_ledger import checkpoint, keys
from pfgov_ledger.dsse import pae
from pfgov_ledger.errors import LedgerError

VECTORS = Path(__file__).parents[2] / "ledger" / "vectors"
EXPORTS = ("full", "full-gzip", "packet-fp-001", "packet-fp-002", "member", "keys-packet", "range")
ANCHOR = keys.parse_anchor((VECTORS / "anchor.txt").read_text())


def path(name: str) -> Path:
    """The golden export of that name."""
    return next((VECTORS / "golden" / "v1").glob(f"{name}.lineage.jsonl*"))


def log_key(name: str) -> keys.SeedSigner:
    """The key of the fixture log, which is no secret: the first, or the one that a rotation put in its place."""
    first = hashlib.sha256(b"pfgov test key log log.example/fixture-1").digest()
    seed = b"\x07" * 32 if name.startswith("keys") else first
    return keys.SeedSigner(role="log", name="log.example/fixture-1", seed=seed)


def lines(name: str, format_name: str) -> list[str]:
    """The translation of a golden export, by lines."""
    target = io.BytesIO()
    convert(verified(path(name), ANCHOR), format_name, target, log_key(name))
    return target.getvalue().decode().splitlines()


def objects(name: str, format_name: str) -> list[dict[str, Any]]:
    """The translation of a golden export, one object a line."""
    return [json.loads(text) for text in lines(name, format_name)]


def records(name: str) -> list[Any]:
    """The records of a golden export."""
    return list(verified(path(name), ANCHOR))


@pytest.mark.parametrize("format_name", sorted(FORMATS))
def test_another_file_in_the_place_of_the_verified_one_is_not_translated(
    format_name: str, tmp_path: Path
) -> None:
    """Somebody changes the file once it was verified, and the translation, signed or not, tells what that one says."""
    place = tmp_path / "export"
    shutil.copy(path("full"), place)
    lineage = verified(place, ANCHOR)
    other = place.read_bytes().replace(b"\n", b"\n\n", 1)  # the same lines, and an empty one
    for swapped in (path("range").read_bytes(), other):
        place.with_suffix(".new").write_bytes(swapped)
        place.with_suffix(".new").replace(place)
        with pytest.raises(LedgerError):
            convert(lineage, format_name, io.BytesIO(), log_key("full"))
    place.unlink()
    with pytest.raises(NotVerifiedError, match="cannot be read"):
        convert(lineage, format_name, io.BytesIO(), log_key("full"))
    with pytest.raises(NotVerifiedError, match="cannot be read"):
        verified(place, ANCHOR)


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("format_name", sorted(FORMATS))
def test_every_entry_is_named(name: str, format_name: str) -> None:
    """A translation leaves out an entry that its target can hold, or one cannot get back to the proof."""
    text = "\n".join(lines(name, format_name))
    if format_name == "dsse":
        text = b"".join(base64.b64decode(o["payload"]) for o in objects(name, "dsse")).decode()
    wanted = records(name)
    missing = [
        r.name
        for r in wanted
        if (r.entry.prev if format_name == "dsse" else r.entry.leaf).hex() not in text
    ]
    assert not missing


@pytest.mark.parametrize("name", EXPORTS)
def test_securesystemslib_verifies_the_envelopes(name: str) -> None:
    """An envelope does not verify under the issuer's key elsewhere, or a changed one does."""
    dsse = pytest.importorskip("securesystemslib.dsse")
    signer = pytest.importorskip("securesystemslib.signer")
    genesis = verified(path("keys-full" if name.startswith("keys") else "full"), ANCHOR)
    known = {
        keys.key_id(bytes.fromhex(public)): bytes.fromhex(public)
        for record in genesis
        for public in _publics(record.entry.body)
    }
    for row in objects(name, "dsse"):
        keyid = row["signatures"][0]["keyid"]
        public = signer.SSlibKey(keyid, "ed25519", "ed25519", {"public": known[keyid].hex()})
        dsse.Envelope.from_dict(copy.deepcopy(row)).verify([public], 1)
        changed = dsse.Envelope.from_dict(
            copy.deepcopy({**row, "payload": base64.b64encode(b"{}").decode()})
        )
        with pytest.raises(Exception, match=r"(?i)threshold|verif|signature"):
            changed.verify([public], 1)
        assert (
            pae(row["payloadType"], base64.b64decode(row["payload"]))
            == dsse.Envelope.from_dict(copy.deepcopy(row)).pae()
        )


def _publics(body: dict[str, Any]) -> list[str]:
    found = [
        row["public"] for row in body.get("keys", []) if isinstance(row, dict) and "public" in row
    ]
    return [*found, *([body["new"]] if isinstance(body.get("new"), str) else [])]


@pytest.mark.parametrize("name", EXPORTS)
def test_in_toto_takes_the_statements(name: str) -> None:
    """A Statement is not what the attestation library takes."""
    statement = pytest.importorskip("in_toto_attestation.v1.statement")
    protobuf = pytest.importorskip("google.protobuf.json_format")
    pb = pytest.importorskip("in_toto_attestation.v1.statement_pb2")
    for text in lines(name, "in-toto"):
        made = statement.Statement.copy_from_pb(protobuf.Parse(text, pb.Statement()))
        made.validate()


@pytest.mark.parametrize("name", EXPORTS)
def test_cloudevents_takes_the_events(name: str) -> None:
    """An event is no CloudEvent, or two have one identity."""
    event = pytest.importorskip("cloudevents.core.v1.event")
    json_format = pytest.importorskip("cloudevents.core.formats.json")
    seen = set()
    for text in lines(name, "cloudevents"):
        made = json_format.JSONFormat().read(event.CloudEvent, text)
        seen.add((made.get_source(), made.get_id()))
    assert len(seen) == len(records(name))


@pytest.mark.parametrize("name", EXPORTS)
def test_prov_reads_and_writes_the_document(name: str) -> None:
    """The two notations of PROV do not say the same to the reference library."""
    prov = pytest.importorskip("prov.model")
    made = prov.ProvDocument.deserialize(content="\n".join(lines(name, "prov-json")), format="json")
    again = prov.ProvDocument.deserialize(content=made.serialize(format="json"), format="json")
    assert made == again
    ours = [text.strip() for text in lines(name, "prov-n")]
    for kind in (
        "activity",
        "entity",
        "agent",
        "wasGeneratedBy",
        "used",
        "wasDerivedFrom",
        "wasAssociatedWith",
    ):
        theirs = [
            text for text in made.get_provn().splitlines() if text.strip().startswith(f"{kind}(")
        ]
        assert len(theirs) == sum(text.startswith(f"{kind}(") for text in ours), kind


def prov_toolbox() -> list[str]:
    """ProvToolbox's command line, by Maven from what lies on this machine already; nothing is fetched."""
    java, maven = shutil.which("java"), shutil.which("mvn")
    if java is None or maven is None:
        pytest.skip("ProvToolbox needs Java and Maven")
    pom = Path(__file__).parent / "prov" / "pom.xml"
    with tempfile.NamedTemporaryFile() as found:
        asked = [maven, "-o", "-q", "-B", "-f", str(pom), "dependency:build-classpath"]
        done = subprocess.run(
            [*asked, f"-Dmdep.outputFile={found.name}"], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("prov-interop 2.2.1 is not in Maven's local repository: make prov-toolbox")
        return [
            java,
            "-cp",
            Path(found.name).read_text(),
            "org.openprovenance.prov.interop.CommandLineArguments",
        ]


@pytest.mark.long
@pytest.mark.process
def test_prov_toolbox_reads_what_we_write(tmp_path: Path) -> None:
    """ProvToolbox does not take a document in PROV-N, or reads something else in it than in the one in PROV-JSON."""
    prov = pytest.importorskip("prov.model")
    toolbox = prov_toolbox()
    document, made = tmp_path / "full.provn", tmp_path / "full.json"
    document.write_text("\n".join(lines("full", "prov-n")))
    subprocess.run(
        [*toolbox, "-infile", document, "-outfile", made], check=True, capture_output=True
    )
    theirs = prov.ProvDocument.deserialize(content=made.read_text(), format="json")
    ours = prov.ProvDocument.deserialize(
        content="\n".join(lines("full", "prov-json")), format="json"
    )

    def said(found: Any) -> list[str]:
        return sorted(
            f"{record.get_type()} {record.identifier if record.is_element() else ''} {sorted(map(str, record.args))}"
            for record in found.get_records()
        )

    assert said(theirs) == said(ours)
    assert len(said(ours)) > 50


@pytest.mark.parametrize("name", EXPORTS)
def test_openlineage_takes_the_runs(name: str) -> None:
    """A run event cannot be built from what is written, or a packet's run changes its id or its job."""
    event_v2 = pytest.importorskip("openlineage.client.event_v2")
    jobs: dict[str, set[str]] = {}
    for row in objects(name, "openlineage"):
        run = event_v2.Run(runId=row["run"]["runId"], facets={})
        job = event_v2.Job(namespace=row["job"]["namespace"], name=row["job"]["name"])
        made = event_v2.RunEvent(
            eventTime=row["eventTime"],
            producer=row["producer"],
            run=run,
            job=job,
            eventType=event_v2.RunState(row["eventType"]),
        )
        assert made.run.runId == row["run"]["runId"]
        jobs.setdefault(row["run"]["runId"], set()).add(row["job"]["name"])
    assert all(len(names - {"unknown"}) <= 1 for names in jobs.values())


@pytest.mark.parametrize("name", EXPORTS)
def test_ocsf_holds_the_activities(name: str) -> None:
    """An activity lacks what its class demands."""
    ocsf = pytest.importorskip("ocsf_emitter")
    model = pytest.importorskip("ocsf_emitter._models").ApiActivity
    for row in objects(name, "ocsf"):
        ocsf.validate(model.model_validate(row))


@pytest.mark.parametrize("name", EXPORTS)
def test_scitt_verifies_the_receipts(name: str) -> None:
    """A receipt does not hold for its entry elsewhere, holds for another, or under another key."""
    scitt = pytest.importorskip("scitt_cose")
    pem, other = public_pem(log_key(name)), public_pem(log_key("none"))
    found = records(name)
    for row, record in zip(objects(name, "cose"), found, strict=True):
        receipt, raw = base64.b64decode(row["receipt"]), record.entry.raw
        seen = scitt.verify_receipt(receipt, leaf_entry_hex=raw.hex(), log_public_key_pem=pem)
        assert seen.ok, seen.errors
        assert (seen.leaf_index, row["leaf"]) == (row["seq"], record.entry.leaf.hex())
        for entry, key in ((raw + b" ", pem), (raw, other)):
            if key != pem or entry != raw:
                refused = scitt.verify_receipt(
                    receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=key
                )
                assert refused.ok == (entry == raw and key == pem)


def public_pem(signer: keys.SeedSigner) -> str:
    """The public key as others read it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return (
        Ed25519PublicKey.from_public_bytes(signer.public)
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@pytest.mark.parametrize("name", EXPORTS)
def test_pycose_verifies_the_receipts(name: str) -> None:
    """A general COSE library does not take a receipt, or its signature is not over the root of the checkpoint."""
    messages = pytest.importorskip("pycose.messages")
    cbor2 = pytest.importorskip("cbor2")
    okp = pytest.importorskip("pycose.keys").OKPKey
    curves = pytest.importorskip("pycose.keys.curves")
    parsed = checkpoint.open_checkpoint(
        verified(path(name), ANCHOR).checkpoint(), [keys.vkey_of(log_key(name))]
    ).checkpoint
    for row in objects(name, "cose"):
        read = cbor2.loads(base64.b64decode(row["receipt"]))
        assert read.tag == 18
        plain, proofs, payload, signature = read.value
        # CoseMessage.decode of pycose 1.1 wants the lists of an older cbor2, so it is given one.
        message = messages.Sign1Message.from_cose_obj(
            [plain, dict(proofs), payload, signature], True
        )
        message.key = okp(crv=curves.Ed25519, x=log_key(name).public)
        assert message.verify_signature(detached_payload=parsed.root)
        assert not message.verify_signature(detached_payload=bytes(32))


def test_a_receipt_takes_the_key_that_signed_the_checkpoint() -> None:
    """Receipts are made without a key, with a stranger's, or with one that the log has replaced."""
    lineage = verified(path("full"), ANCHOR)
    stranger = keys.SeedSigner(role="log", name="log.example/fixture-1", seed=bytes(32))
    other_name = keys.SeedSigner(role="log", name="log.example/other", seed=bytes(32))
    for signer in (None, stranger, other_name, log_key("keys-packet")):
        with pytest.raises(CannotSignError):
            convert(lineage, "cose", io.BytesIO(), signer)
    with pytest.raises(CannotSignError):
        convert(verified(path("keys-packet"), ANCHOR), "cose", io.BytesIO(), log_key("full"))


@pytest.mark.parametrize("name", EXPORTS)
def test_opentelemetry_takes_the_requests(name: str) -> None:
    """A line is no trace request of OTLP, or a span in it is another one."""
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    protobuf = pytest.importorskip("google.protobuf.json_format")
    for row in objects(name, "otlp"):
        (span,) = row["resourceSpans"][0]["scopeSpans"][0]["spans"]
        hexadecimal = {k: span[k] for k in ("traceId", "spanId", "parentSpanId")}
        for key, value in hexadecimal.items():  # OTLP writes ids in hexadecimal, protobuf in Base64
            span[key] = base64.b64encode(bytes.fromhex(value)).decode()
        made = protobuf.ParseDict(row, service.ExportTraceServiceRequest())
        taken = made.resource_spans[0].scope_spans[0].spans[0]
        assert taken.trace_id.hex() == hexadecimal["traceId"]
        assert taken.end_time_unix_nano >= taken.start_time_unix_nano > 0
        assert len(taken.events) == len(span["events"]) <= EVENTS_MAX


@pytest.mark.parametrize("format_name", sorted(FORMATS))
def test_what_a_format_has_no_place_for_is_said(format_name: str) -> None:
    """A format leaves something out and does not say so where it is asked for, or in its documentation."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "lineage-formats.md"
    (row,) = [
        text for text in page.read_text().splitlines() if text.startswith(f"| `{format_name}` |")
    ]
    assert FORMATS[format_name].lacks
    assert "; ".join(FORMATS[format_name].lacks) in row


@pytest.mark.parametrize("name", EXPORTS)
def test_spans_nest_in_their_trace(name: str) -> None:
    """A span has no root, ends before it begins, or its ids are of the wrong length."""
    spans = [
        span
        for row in objects(name, "otlp")
        for resource in row["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    roots = {(span["traceId"], span["spanId"]) for span in spans if not span["parentSpanId"]}
    for span in spans:
        assert (len(span["traceId"]), len(span["spanId"])) == (32, 16)
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
        if span["parentSpanId"]:
            assert (span["traceId"], span["parentSpanId"]) in roots


def test_what_does_not_verify_is_not_translated() -> None:
    """A tampered export is translated all the same."""
    for tampered in sorted((VECTORS / "tampered" / "chain_broken").glob("*.lineage.jsonl")):
        with pytest.raises(NotVerifiedError):
            verified(tampered, ANCHOR)


def test_an_unknown_format_is_refused() -> None:
    """A misspelt format writes something."""
    with pytest.raises(UnknownFormatError):
        convert(verified(path("full"), ANCHOR), "openlinage", io.BytesIO())


HOSTILE = "\x1b[2J\x9b2J\x7f\u202ePASSED\u2066\u2028\ufeff\U000e0041\r\n"


@pytest.mark.parametrize(
    "name", [one for one in FORMATS if one != "cose"]
)  # that is hexadecimal in JSON
def test_no_format_steers_a_terminal(tmp_path: Path, name: str) -> None:
    """Control, format and bidirectional characters of an export are written as escapes that mean the same."""
    log, _ = begin()
    create(log, "fp-001")
    log.add("packet_updated", "packet/fp-001", {"packet_id": "fp-001", "outcome": HOSTILE})
    log.commit()
    path = tmp_path / "hostile.lineage.jsonl"
    path.write_bytes(log.full())
    out = io.BytesIO()
    convert(verified(path, log.anchor()), name, out)
    assert out.getvalue().decode().replace("\n", "").isprintable()
    assert json.loads(line({"said": HOSTILE})) == {"said": HOSTILE}
