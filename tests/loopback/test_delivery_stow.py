"""STOW-RS instead of C-STORE: the same bytes, and the fate of each instance from the server's answer."""

import logging
import socket
from pathlib import Path

import pytest
from support.certificates import make_certificates, server_context
from support.results_dicom import write_seg, write_sr
from support.stow_server import named, running_stow

from dicom_node.delivery.echo import echo
from dicom_node.delivery.report import Verdict
from dicom_node.delivery.send import send, send_files
from dicom_node.settings import DestinationSettings, TlsSettings

SEG, SR = "1.2.826.0.1.3680043.10.9999.1.1", "1.2.826.0.1.3680043.10.9999.1.2"


def at(port: int, scheme: str = "http", **changes) -> DestinationSettings:
    url = f"{scheme}://127.0.0.1:{port}/dicom-web"
    return DestinationSettings(**{"name": "web", "stow_url": url, "timeout_s": 5, **changes})


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_sr(tmp_path), write_seg(tmp_path)]


def verdicts(reports) -> list[Verdict]:
    return [report.verdict for report in reports]


def test_whole_files_arrive_unchanged_and_the_seg_first(files):
    with running_stow() as server:
        reports = send(at(server.port), files, own_ae_title="QUARTET")
    assert [(r.path.name, r.verdict, r.reason) for r in reports] == [
        ("seg.dcm", Verdict.SENT, ""),
        ("sr.dcm", Verdict.SENT, ""),
    ]
    assert server.got == [report.path.read_bytes() for report in reports]
    assert server.paths == ["/dicom-web/studies"] * 2


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(0xA700, Verdict.RETRY), (0x0110, Verdict.RETRY), (0x0122, Verdict.REFUSED), (0xC000, Verdict.REFUSED)],
)
def test_a_failure_of_one_instance_is_read_from_the_answer_and_keeps_the_report_back(files, code, verdict):
    failed = {"00081198": {"vr": "SQ", "Value": [named(SEG, **{"00081197": {"vr": "US", "Value": [code]}})]}}
    with running_stow() as server:
        server.answers = [(409, failed)]
        reports = send(at(server.port), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [verdict, verdict]
    assert reports[0].status == code
    assert server.got == []


def test_http_where_https_is_expected_and_the_reverse_is_said(files, tmp_path):
    with running_stow(server_context(make_certificates(tmp_path))) as server:
        assert "https://" in send(at(server.port), files, own_ae_title="QUARTET")[0].reason
    with running_stow() as server:
        assert "http://" in send(at(server.port, "https"), files, own_ae_title="QUARTET")[0].reason


def test_a_warning_counts_as_stored(files):
    warned = {"00081199": {"vr": "SQ", "Value": [named(SEG, **{"00081196": {"vr": "US", "Value": [0xB000]}})]}}
    with running_stow() as server:
        server.answers = [(202, warned)]
        reports = send(at(server.port), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.SENT, Verdict.SENT]
    assert "B000" in reports[0].reason


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.SENT),
        (401, Verdict.REFUSED),
        (404, Verdict.REFUSED),
        (302, Verdict.REFUSED),
        (418, Verdict.REFUSED),
        (429, Verdict.RETRY),
        (503, Verdict.RETRY),
    ],
)
def test_an_answer_without_dicom_json_is_judged_by_its_http_status(files, status, verdict):
    with running_stow() as server:
        server.answers = [(status, None)]
        reports = send(at(server.port), files, own_ae_title="QUARTET")
    assert reports[0].verdict is verdict


def test_an_answer_that_names_other_objects_only_is_not_taken_for_success(files):
    with running_stow() as server:
        server.answers = [(200, {"00081199": {"vr": "SQ", "Value": [named("1.2.3")]}})]
        assert send(at(server.port), files, own_ae_title="QUARTET")[0].verdict is Verdict.RETRY


@pytest.mark.parametrize(
    "odd", [[], [1], {"00081198": 7}, {"00081198": {"Value": [None, 3, {"00081155": {}}]}}, "text"]
)
def test_an_odd_answer_breaks_nothing(files, odd):
    with running_stow() as server:
        server.answers = [(200, odd), (200, odd)]
        assert verdicts(send(at(server.port), files, own_ae_title="QUARTET")) == [Verdict.SENT] * 2


def test_a_server_that_is_down_or_silent_is_tried_again_and_a_wrong_address_is_not(files):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert verdicts(send(at(port, timeout_s=0.5), files, own_ae_title="QUARTET")) == [Verdict.RETRY] * 2
    assert "nothing listens" in send(at(port), files, own_ae_title="QUARTET")[0].reason
    assert verdicts(send(at(port, scheme="ftp"), files, own_ae_title="QUARTET")) == [Verdict.REFUSED] * 2


def test_files_that_do_not_belong_together_are_each_tried(files):
    with running_stow() as server:
        server.answers = [(409, None)]
        assert verdicts(send_files(at(server.port), files, own_ae_title="QUARTET")) == [Verdict.REFUSED, Verdict.SENT]


def test_user_and_password_of_the_address_are_sent_and_not_logged(files, caplog):
    with running_stow() as server, caplog.at_level(logging.INFO):
        url = f"http://quartet:ZZSECRET@127.0.0.1:{server.port}/dicom-web/"
        reports = send(at(server.port, stow_url=url), files, own_ae_title="QUARTET")
    assert verdicts(reports) == [Verdict.SENT] * 2
    assert server.headers[0]["Authorization"].startswith("Basic ")
    assert "ZZSECRET" not in caplog.text


def test_tls_with_the_sites_own_authority_and_a_certificate_of_ours(files, tmp_path):
    keys = make_certificates(tmp_path)
    tls = TlsSettings(certificate_file=keys / "client.pem", key_file=keys / "client.key", ca_file=keys / "ca.pem")
    with running_stow(server_context(keys, mutual=True)) as server:
        assert verdicts(send(at(server.port, "https", tls=tls), files, own_ae_title="QUARTET")) == [Verdict.SENT] * 2
        untrusting = at(server.port, "https")
        reports = send(untrusting, files, own_ae_title="QUARTET")
        assert verdicts(reports) == [Verdict.RETRY] * 2
        assert "certificate is not accepted" in reports[0].reason


def test_the_doctor_knows_dicomweb(files):
    with running_stow() as server:
        assert echo(at(server.port), "QUARTET").ok
    assert not echo(at(server.port), "QUARTET").ok
    assert not echo(at(1, "ftp"), "QUARTET").ok
