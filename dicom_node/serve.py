"""`quartet serve`: the whole node on one machine, every part a supervised process.

    embedded broker | receive | coordinate | worker

Each part is the same command that runs apart in a larger installation; here they share one quartet.toml, and the port
of the embedded broker goes to them in QUARTET_BROKER_URL.
"""

import logging
import os
import signal
import sys
from pathlib import Path
from threading import Event

from dicom_node.broker import EmbeddedBroker
from dicom_node.settings import Settings
from dicom_node.supervise import Child, Supervisor
from dicom_node.wiring import BROKER_VARIABLE

log = logging.getLogger(__name__)


DRAIN_S = 55.0
"""A service manager gives a minute; the parts must be gone before it."""


def run(settings: Settings, config: Path, *, with_worker: bool = True) -> int:
    """Serve until SIGTERM or SIGINT. Gives the process's exit code."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    broker = EmbeddedBroker() if settings.broker.url == "embedded" else None
    environment = dict(os.environ)
    if broker is not None:
        broker.ensure()
        environment[BROKER_VARIABLE] = broker.url
    children = [Child(name, command, environment) for name, command in commands(config, with_worker=with_worker)]
    try:
        return Supervisor(children, stop, also=broker.ensure if broker is not None else lambda: None).run(
            drain_s=DRAIN_S
        )
    finally:
        if broker is not None:
            broker.stop()


def commands(config: Path, *, with_worker: bool = True) -> list[tuple[str, list[str]]]:
    """Name and command of each part. The worker is a process of its own package: the node does not import it."""
    node = [sys.executable, "-m", "dicom_node.cli"]
    parts = [(name, [*node, name, "--config", str(config)]) for name in ("receive", "coordinate")]
    if with_worker:
        parts.append(("worker", [sys.executable, "-m", "worker", "--config", str(config)]))
    return parts
