"""The doctor names the fault in plain words; and results go over TLS."""

import io
import socket
from pathlib import Path

import pytest
from pynetdicom import evt
from pynetdicom.sop_class import Comprehensive3DSRStorage, SegmentationStorage, Verification
from rich.console import Console
from support.certificates import make_certificates, server_context
from support.demo_pacs import running_pacs
from support.results_dicom import write_seg, write_sr

from dicom_node.delivery.doctor import print_echo, print_send
from dicom_node.delivery.echo import EchoReport, echo
from dicom_node.delivery.report import Verdict
from dicom_node.delivery.send import send
from dicom_node.errors import SettingsError
from dicom_node.settings import DestinationSettings, Settings, TlsSettings


def at(port: int, **changes) -> DestinationSettings:
    return DestinationSettings(**{"name": "pacs", "ae_title": "PACS", "port": port, "timeout_s": 2, **changes})


def fault(report: EchoReport) -> tuple[str, str]:
    """Name and text of the one fault."""
    (step,) = [step for step in report.steps if not step.ok]
    return step.name, step.text


def test_a_destination_in_good_health():
    with running_pacs() as pacs:
        report = echo(at(pacs.port, storage_commitment=True), "QUARTET")
    assert report.ok
    assert [step.name for step in report.steps] == [
        "name",
        "connection",
        "association",
        "Segmentation Storage",
        "Comprehensive 3D SR Storage",
        "Storage Commitment Push Model SOP Class",
        "echo",
    ]


def test_an_unknown_name_and_a_closed_port():
    assert fault(echo(at(104, host="no-such-host.invalid"), "QUARTET"))[0] == "name"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    name, text = fault(echo(at(port), "QUARTET"))
    assert name == "connection"
    assert "nothing listens" in text


def test_a_port_that_listens_but_does_not_speak_dicom():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name, text = fault(echo(at(silent.getsockname()[1], timeout_s=0.5), "QUARTET"))
    assert name == "association"
    assert "does not answer in DICOM" in text


def test_ae_titles_that_do_not_match():
    with running_pacs(require_called=True) as pacs:
        assert "correct `ae_title`" in fault(echo(at(pacs.port, ae_title="PAX"), "QUARTET"))[1]
    with running_pacs(calling=["SOMEONE"]) as pacs:
        assert "does not know us" in fault(echo(at(pacs.port), "QUARTET"))[1]


def test_a_pacs_that_takes_no_seg_and_one_that_takes_nothing():
    with running_pacs(classes=[Comprehensive3DSRStorage, Verification]) as pacs:
        assert fault(echo(at(pacs.port), "QUARTET"))[0] == "Segmentation Storage"
    with running_pacs(classes=["1.2.840.10008.5.1.4.1.1.2"]) as pacs:
        name, text = fault(echo(at(pacs.port), "QUARTET"))
    assert name == "association"
    assert "Segmentation Storage" in text


def test_a_pacs_without_storage_commitment_is_told_by_the_setting_to_change():
    with running_pacs(classes=[Comprehensive3DSRStorage, SegmentationStorage]) as pacs:
        name, text = fault(echo(at(pacs.port, storage_commitment=True), "QUARTET"))
    assert name.startswith("Storage Commitment")
    assert "`storage_commitment = false`" in text


def test_a_pacs_without_verification_is_no_fault():
    with running_pacs(classes=[Comprehensive3DSRStorage, SegmentationStorage]) as pacs:
        assert echo(at(pacs.port), "QUARTET").ok


def test_an_echo_that_fails():
    with running_pacs(handlers=[(evt.EVT_C_ECHO, lambda event: 0x0122)]) as pacs:
        assert fault(echo(at(pacs.port), "QUARTET")) == ("echo", "answered with status 0122")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def tls_of(keys: Path, *, name: str = "client", ca: str = "ca.pem") -> TlsSettings:
    return TlsSettings(certificate_file=keys / f"{name}.pem", key_file=keys / f"{name}.key", ca_file=keys / ca)


@pytest.mark.parametrize("mutual", [False, True])
def test_results_go_over_tls(tmp_path, keys, mutual):
    with running_pacs(tls=server_context(keys, mutual=mutual)) as pacs:
        secure = at(pacs.port, tls=tls_of(keys))
        assert echo(secure, "QUARTET").ok
        reports = send(secure, [write_seg(tmp_path, pixel_bytes=1 << 20), write_sr(tmp_path)], own_ae_title="QUARTET")
    assert [report.verdict for report in reports] == [Verdict.SENT] * 2
    assert len(pacs.got) == 2


def test_we_without_tls_and_they_with(keys):
    with running_pacs(tls=server_context(keys)) as pacs:
        name, text = fault(echo(at(pacs.port), "QUARTET"))
    assert name == "association"
    assert "It does speak TLS" in text


def test_we_with_tls_and_they_without(keys):
    with running_pacs() as pacs:
        name, _ = fault(echo(at(pacs.port, tls=tls_of(keys)), "QUARTET"))
    assert name == "TLS"


def test_a_certificate_that_we_do_not_trust(keys):
    with running_pacs(tls=server_context(keys)) as pacs:
        name, text = fault(echo(at(pacs.port, tls=tls_of(keys, ca="stranger.pem")), "QUARTET"))
    assert name == "TLS"
    assert "ca_file" in text


def test_our_certificate_that_they_do_not_trust(keys):
    with running_pacs(tls=server_context(keys, mutual=True)) as pacs:
        report = echo(at(pacs.port, tls=tls_of(keys, name="stranger")), "QUARTET")
    assert "our TLS certificate" in fault(report)[1]


def test_our_certificate_file_is_missing(keys, tmp_path):
    with running_pacs() as pacs:
        gone = TlsSettings(certificate_file=tmp_path / "gone.pem", key_file=tmp_path / "gone.key")
        assert "gone.pem" in fault(echo(at(pacs.port, tls=gone), "QUARTET"))[1]


def test_what_the_commands_print(tmp_path):
    printed = io.StringIO()
    console = Console(file=printed, width=200)
    with running_pacs() as pacs:
        settings = Settings(destinations=(at(pacs.port),))
        assert print_echo(settings, "pacs", console) == 0
        assert print_send(settings, [write_seg(tmp_path), tmp_path / "absent.dcm"], "pacs", console) == 1
        with pytest.raises(SettingsError, match="did you mean pacs"):
            print_echo(settings, "pax", console)
    assert print_echo(settings, "pacs", console) == 1
    assert "pacs is ready for results." in printed.getvalue()
    assert "sent  seg.dcm" in printed.getvalue()
    assert "absent.dcm cannot be read" in printed.getvalue()
    assert "ZZCANARY" not in printed.getvalue()
