"""A supervised part that dies comes back; one that cannot be used ends the whole; all stop at the end."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from threading import Event

import pytest

from dicom_node.broker import BrokerError, EmbeddedBroker
from dicom_node.supervise import UNUSABLE, Child, Supervisor

SLEEPER = "import time\nwhile True: time.sleep(0.05)"


def python(name: str, code: str) -> Child:
    return Child(name, [sys.executable, "-c", code], dict(os.environ))


def until(condition: object, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.05)
    pytest.fail("did not happen in time")


def test_a_killed_part_comes_back_and_all_stop_at_the_end() -> None:
    stop, child = Event(), python("sleeper", SLEEPER)
    supervisor = Supervisor([child], stop)
    runner = threading.Thread(target=supervisor.run, kwargs={"drain_s": 5.0})
    runner.start()
    until(lambda: child.process is not None)
    assert child.process is not None
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: child.process is not None and child.process.pid != first)
    last = child.process.pid
    stop.set()
    runner.join(15)
    assert not runner.is_alive()
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


def test_a_part_that_cannot_be_used_as_configured_ends_the_whole() -> None:
    stop = Event()
    supervisor = Supervisor([python("broken", f"raise SystemExit({UNUSABLE})"), python("sleeper", SLEEPER)], stop)
    assert supervisor.run(drain_s=5.0) == UNUSABLE


def test_a_part_that_does_not_drain_is_ended(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    stubborn = (
        f"import signal, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN); pathlib.Path({str(ready)!r}).touch()\n"
    )
    stop, child = Event(), python("stubborn", stubborn + SLEEPER)
    supervisor = Supervisor([child], stop)
    runner = threading.Thread(target=supervisor.run, kwargs={"drain_s": 0.2})
    runner.start()
    until(ready.exists)
    stop.set()
    runner.join(15)
    assert not runner.is_alive()
    assert child.process is not None
    assert child.process.poll() == -signal.SIGKILL


def test_the_pause_before_a_restart_grows_and_is_bounded() -> None:
    child = python("x", "")
    pauses = []
    for child.restarts in (1, 2, 3, 40):
        pauses.append(child.pause_s())
    assert pauses == [2, 4, 8, 30]


def test_the_embedded_broker_comes_back_on_its_port() -> None:
    broker = EmbeddedBroker()
    try:
        assert broker.ensure() is True
        assert broker.ensure() is False
        url = broker.url
        broker._server.terminate()  # type: ignore[union-attr]
        assert broker.ensure() is True
        assert broker.url == url
    finally:
        broker.stop()


def test_a_broker_that_is_killed_while_it_starts_does_not_end_the_node():
    """Found by the soak: killed twice within .4 s, the second time in its start-up."""
    stop, tries = Event(), []

    def broker() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise BrokerError("died during startup")
        stop.set()

    assert Supervisor([], stop, also=broker).run(drain_s=1) == 0
    assert tries == [0, 1, 2]
