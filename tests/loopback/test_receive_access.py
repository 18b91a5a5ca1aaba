"""Who may come in: AE titles, addresses, limits, room on the disk, TLS; and a receiver that cannot start says why."""

import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from support.dicom_objects import encoded, mr_series
from support.raw_peer import RawPeer, association_request
from support.receiving import running

from dicom_node.association.errors import ReceiverUnusable
from dicom_node.association.server import Receiver
from dicom_node.errors import SettingsError
from dicom_node.settings import AssociationSettings, PeerSettings, TlsSettings
from dicom_node.store.instances import InstanceStore


def rejection(port: int, **request: str) -> tuple[int, int, int] | None:
    """Result, source and reason of the A-ASSOCIATE-RJ; None where the association was accepted."""
    with RawPeer(port, **request) as peer:
        peer.send(association_request(**request))
        kind, body = peer.read_pdu()
        if kind == 2:
            return None
        assert kind == 3
        return body[1], body[2], body[3]


def test_ae_titles_and_addresses_decide(tmp_path: Path) -> None:
    peers = (
        PeerSettings(ae_title="PACS"),
        PeerSettings(ae_title="MR1", addresses=("127.0.0.0/8",)),
        PeerSettings(ae_title="MR2", addresses=("10.0.0.1", "10.2.0.0/16")),
    )
    with running(tmp_path, peers=peers, maximum_associations_per_address=20) as node:
        assert rejection(node.port, calling="PACS") is None
        assert rejection(node.port, calling="MR1") is None
        assert rejection(node.port, calling="MR2") == (1, 1, 3)
        assert rejection(node.port, calling="STRANGER") == (1, 1, 3)
        assert rejection(node.port, calling="PACS", called="OTHER") == (1, 1, 7)


def test_without_peers_nobody_comes_in(tmp_path: Path) -> None:
    with running(tmp_path, peers=()) as node:
        assert rejection(node.port, calling="PACS") == (1, 1, 3)


def test_below_the_reserve_associations_are_refused(tmp_path: Path) -> None:
    with running(tmp_path, reserve_bytes=1 << 60) as node:
        assert rejection(node.port) == (2, 3, 1)


def test_limits_in_all_and_for_each_address(tmp_path: Path) -> None:
    """A limit reached is transient, and a place that is given back can be taken."""
    with running(tmp_path, maximum_associations_per_address=2) as node:
        first, second = RawPeer(node.port), RawPeer(node.port)
        assert first.associate() == second.associate() == 2
        assert rejection(node.port) == (2, 3, 2)
        assert first.release() == 6
        deadline = time.monotonic() + 10  # the place is given back when the conversation's thread has ended
        while rejection(node.port) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        first.socket.close()
        second.socket.close()


def test_a_taken_port_is_said_with_what_to_do(tmp_path: Path) -> None:
    store = InstanceStore(tmp_path, 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        receiver = Receiver(AssociationSettings(host="127.0.0.1", port=port), None, store)  # type: ignore[arg-type]
        with pytest.raises(ReceiverUnusable, match=rf"port {port} is taken.*association\.port"):
            receiver.start()


def test_a_foreign_address_and_a_bad_network_are_said(tmp_path: Path) -> None:
    store = InstanceStore(tmp_path, 0)
    with pytest.raises(ReceiverUnusable, match="no address of this machine"):
        Receiver(AssociationSettings(host="192.0.2.1", port=0), None, store).start()  # type: ignore[arg-type]
    peers = (PeerSettings(ae_title="A", addresses=("10.0.0/8",)),)
    with pytest.raises(SettingsError, match="neither an IP address nor a network"):
        Receiver(AssociationSettings(peers=peers), None, store)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and for server and client a certificate and key that it signed."""
    if shutil.which("openssl") is None:
        pytest.skip("apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    for name in ("server", "client"):
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-days", "2",
        )  # fmt: skip
    return folder


def tls_of(folder: Path, *, mutual: bool) -> TlsSettings:
    ca_file = folder / "ca.pem" if mutual else None
    return TlsSettings(certificate_file=folder / "server.pem", key_file=folder / "server.key", ca_file=ca_file)


def secured(peer: RawPeer, folder: Path, *, with_certificate: bool = True) -> None:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.check_hostname = False
    if with_certificate:
        context.load_cert_chain(folder / "client.pem", folder / "client.key")
    peer.socket = context.wrap_socket(peer.socket)


@pytest.mark.parametrize("mutual", [False, True])
def test_objects_come_over_tls(tmp_path: Path, certificates: Path, mutual: bool) -> None:
    series = mr_series(shape_zyx=(3, 200, 200))
    with running(tmp_path, tls=tls_of(certificates, mutual=mutual)) as node, RawPeer(node.port) as peer:
        secured(peer, certificates)
        assert peer.associate() == 2
        for ds in series:
            assert peer.store(encoded(ds), ds.SOPClassUID, ds.SOPInstanceUID).status == 0
        assert peer.release() == 6
        assert len(node.stored()) == 3


def test_mutual_tls_wants_a_certificate(tmp_path: Path, certificates: Path) -> None:
    with running(tmp_path, tls=tls_of(certificates, mutual=True)) as node, RawPeer(node.port) as peer:
        with pytest.raises((ssl.SSLError, AssertionError, OSError)):  # noqa: PT012 (TLS 1.3 tells it at the first read)
            secured(peer, certificates, with_certificate=False)
            peer.socket.sendall(association_request())
            assert peer.socket.recv(1)
        assert node.receiver.open_associations == 0


def test_silent_tls_clients_and_plain_ones_hold_nobody_up(tmp_path: Path, certificates: Path) -> None:
    """A client that never says hello waits alone; the next one is served at once."""
    with running(tmp_path, tls=tls_of(certificates, mutual=False)) as node:
        silent = [RawPeer(node.port) for _ in range(20)]
        for peer in silent[:5]:
            peer.send(b"\x16\x03\x01\x02\x00\x01")
        with RawPeer(node.port) as plain:
            plain.send(association_request())
            with RawPeer(node.port, 5.0) as good:
                secured(good, certificates)
                assert good.associate() == 2
        for peer in silent:
            peer.socket.close()


@pytest.mark.skipif(shutil.which("echoscu") is None, reason="apt-get install dcmtk")
def test_dcmtk_speaks_tls_with_us(tmp_path: Path, certificates: Path) -> None:
    with running(tmp_path, tls=tls_of(certificates, mutual=True)) as node:
        done = subprocess.run(
            ["echoscu", "-aec", "QUARTET", "+tls", certificates / "client.key", certificates / "client.pem",
             "+cf", certificates / "ca.pem", "127.0.0.1", str(node.port)],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_unusable_certificates_are_said(tmp_path: Path, certificates: Path) -> None:
    store = InstanceStore(tmp_path, 0)
    wrong = TlsSettings(certificate_file=certificates / "server.pem", key_file=certificates / "client.key")
    with pytest.raises(SettingsError, match="no certificate with its key"):
        Receiver(AssociationSettings(tls=wrong), None, store)  # type: ignore[arg-type]
    absent = tls_of(certificates, mutual=False).model_copy(update={"ca_file": tmp_path / "absent.pem"})
    with pytest.raises(SettingsError, match="no CA certificate"):
        Receiver(AssociationSettings(tls=absent), None, store)  # type: ignore[arg-type]
