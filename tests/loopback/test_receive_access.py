"""Who may come in: AE titles, addresses, limits, room on the disk; and a receiver that cannot start says why."""

import socket
import time
from pathlib import Path

import pytest
from support.raw_peer import RawPeer, association_request
from support.receiving import running

from dicom_node.association.errors import ReceiverUnusable
from dicom_node.association.server import Receiver
from dicom_node.errors import SettingsError
from dicom_node.settings import AssociationSettings, PeerSettings
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
