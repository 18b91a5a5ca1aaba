"""TLS of the receiver: objects come over it, mutual TLS asks for a certificate, and silent clients hold nobody up."""

import shutil
import ssl
from pathlib import Path

import pytest
from support.certificates import make_certificates
from support.dcmtk import storescu
from support.dicom_objects import encoded, mr_series, write
from support.raw_peer import RawPeer, association_request
from support.receiving import running

from dicom_node.association.server import Receiver
from dicom_node.errors import SettingsError
from dicom_node.settings import AssociationSettings, TlsSettings
from dicom_node.store.instances import InstanceStore


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and certificates and keys of server, client and stranger."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


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


@pytest.mark.skipif(shutil.which("storescu") is None, reason="apt-get install dcmtk")
@pytest.mark.parametrize(
    ("name", "comes_in"),
    [
        pytest.param("client", True, id="signed by our authority"),
        pytest.param("stranger", False, id="signed by itself"),
    ],
)
def test_storescu_of_dcmtk_sends_over_mutual_tls(tmp_path: Path, certificates: Path, name: str, comes_in: bool) -> None:
    """Debian's storescu with a certificate: all objects are stored, or not one byte is heard."""
    files = write(mr_series(shape_zyx=(3, 64, 64)), tmp_path / "in")
    words = ["+tls", f"{name}.key", f"{name}.pem", "+cf", "ca.pem"]
    paths = [word if word.startswith("+") else str(certificates / word) for word in words]
    with running(tmp_path / "root", tls=tls_of(certificates, mutual=True)) as node:
        done = storescu(node.port, files, words=paths)
        assert (done.returncode == 0) is comes_in, done.stderr
        assert len(node.stored()) == (len(files) if comes_in else 0)
        if comes_in:
            assert {one.calling_ae_title for one in node.intake.received} == {"TEST"}


@pytest.mark.skipif(shutil.which("storescu") is None, reason="apt-get install dcmtk")
def test_storescu_without_tls_is_turned_away_by_a_receiver_with_tls(tmp_path: Path, certificates: Path) -> None:
    files = write(mr_series(shape_zyx=(1, 64, 64)), tmp_path / "in")
    with running(tmp_path / "root", tls=tls_of(certificates, mutual=False), acse_timeout_s=3.0) as node:
        assert storescu(node.port, files).returncode != 0
        assert node.stored() == []


def test_unusable_certificates_are_said(tmp_path: Path, certificates: Path) -> None:
    store = InstanceStore(tmp_path, 0)
    wrong = TlsSettings(certificate_file=certificates / "server.pem", key_file=certificates / "client.key")
    with pytest.raises(SettingsError, match="no certificate with its key"):
        Receiver(AssociationSettings(tls=wrong), None, store)  # type: ignore[arg-type]
    absent = tls_of(certificates, mutual=False).model_copy(update={"ca_file": tmp_path / "absent.pem"})
    with pytest.raises(SettingsError, match="no CA certificate"):
        Receiver(AssociationSettings(tls=absent), None, store)  # type: ignore[arg-type]
