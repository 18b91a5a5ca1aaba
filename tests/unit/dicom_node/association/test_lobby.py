"""The lobby goes on whatever accepting a connection comes up with, and says so."""

import errno
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.raw_peer import RawPeer

from dicom_node.association.guest import Guest
from dicom_node.association.lobby import Lobby


class Door(socket.socket):
    """A listener whose next `accept` calls raise what is in `faults`."""

    faults: list[Exception]

    def accept(self) -> Any:
        if self.faults:
            raise self.faults.pop(0)
        return super().accept()


@pytest.fixture
def door() -> Iterator[Door]:
    listener = Door(socket.AF_INET, socket.SOCK_STREAM)
    listener.faults = []
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    yield listener
    listener.close()


def is_heard(door: Door) -> bool:
    """Whether an association request that comes in now reaches the reception."""
    heard = threading.Event()

    def reception(guest: Guest, request: bytes) -> None:
        heard.set()
        guest.close()

    lobby = Lobby(door, None, 10.0, 8, reception)
    lobby.start()
    try:
        with RawPeer(door.getsockname()[1]) as peer:
            peer.send(b"\x01\x00\x00\x00\x00\x02ab")
            return heard.wait(5)
    finally:
        lobby.close()


def test_an_unforeseen_fault_leaves_the_node_no_deaf_one(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    door.faults = [ZeroDivisionError("a bug")]
    assert is_heard(door)
    assert "A round of the lobby failed" in caplog.text


def test_a_lack_of_descriptors_is_said_once_and_passes(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    door.faults = [OSError(errno.EMFILE, "Too many open files") for _ in range(3)]
    assert is_heard(door)
    assert [record.getMessage() for record in caplog.records] == ["Connections cannot be taken: Too many open files"]


def test_a_peer_that_left_again_is_no_news(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    door.faults = [ConnectionAbortedError(errno.ECONNABORTED, "Software caused connection abort")]
    assert is_heard(door)
    assert caplog.records == []
