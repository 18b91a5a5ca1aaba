"""Logs: sentences with facts, one a line, and never a patient."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dicom_objects import encoded, mr_series
from support.log_state import log_state_kept
from support.raw_peer import RawPeer, p_data
from support.receiving import running

from dicom_node import logs
from dicom_node.settings import LogSettings

CANARY = "ZZCANARY"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with log_state_kept():
        yield


def test_json_lines_hold_sentence_and_facts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(format="json"))
    logging.getLogger("quartet.test").info("An object is %s", "stored", extra={"action": "store", "objects": 3})
    entry = json.loads(capsys.readouterr().err)
    assert entry["message"] == "An object is stored"
    assert (entry["action"], entry["objects"], entry["level"]) == ("store", 3, "INFO")


def test_text_is_one_line_whatever_a_peer_sent(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings())
    logging.getLogger("quartet.test").warning("Rejected", extra={"peer": "A\n2026 ERROR forged\x1b[2J"})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "\x1b" not in lines[0]


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_unexpected_error_tells_its_place_but_not_its_text(capsys: pytest.CaptureFixture[str], form: str) -> None:
    logs.configure(LogSettings.model_validate({"format": form}))
    try:
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            raise RuntimeError(CANARY) from error
    except RuntimeError:
        logging.getLogger("quartet.test").exception("It failed")
    written = capsys.readouterr().err
    assert CANARY not in written
    assert "RuntimeError" in written
    assert "test_logs.py" in written


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_patient_in_any_log_at_debug(capsys: pytest.CaptureFixture[str], tmp_path: Path, form: str) -> None:
    """Good, refused and broken objects of a patient named ZZCANARY, and an intake whose error quotes the name."""
    logs.configure(LogSettings.model_validate({"level": "DEBUG", "format": form}))
    ds = mr_series(
        patient_name=f"{CANARY}^X",
        patient_id=CANARY,
        headers={"AccessionNumber": CANARY, "PatientBirthDate": "19010101"},
    )[0]
    data = encoded(ds)
    with running(tmp_path) as node:
        with RawPeer(node.port) as peer:
            peer.associate()
            assert peer.store(data, ds.SOPClassUID, ds.SOPInstanceUID).status == 0
            assert peer.store(data[:-9], ds.SOPClassUID, ds.SOPInstanceUID).status == 0xC000
            assert peer.store(data, ds.SOPClassUID, "1.2.3").status == 0xA900
            node.intake.fault = RuntimeError(CANARY)
            answer = peer.store(data, ds.SOPClassUID, ds.SOPInstanceUID)
            assert CANARY.encode() not in b"".join(answer.elements.values())
            peer.send(p_data(data, is_command=False))
            assert peer.read_pdu()[0] == 7
        with RawPeer(node.port, calling="OTHER", called="WRONG") as stranger:
            assert stranger.associate() == 3
        node.receiver.drain(5)
    written = capsys.readouterr().err
    assert written.count("\n") >= 6
    assert CANARY not in written
    assert "19010101" not in written
