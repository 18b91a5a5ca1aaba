"""The node of the demo: `quartet serve` as a process of its own, on free loopback ports and in a temporary folder."""

import subprocess
import sys
from pathlib import Path

from dicom_node.broker import free_port
from dicom_node.errors import NodeError

NODE_AE, DEMO_AE = "QUARTET", "DEMOPACS"
STOP_S = 60.0


class DemoError(NodeError):
    """The demo could not go on; the text says what was missing and where the node's log lies."""


class DemoNode:
    """`with` starts and stops it. What it says goes to `log`."""

    def __init__(self, work: Path, pacs_port: int, log: Path) -> None:
        self.port = free_port()
        self.storage = work / "storage"
        self._config = work / "quartet.toml"
        self._pacs_port = pacs_port
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "DemoNode":
        self.storage.mkdir()
        self._config.write_text(_CONFIG.format(port=self.port, root=self.storage, pacs_port=self._pacs_port))
        command = [sys.executable, "-m", "dicom_node.cli", "serve", "--config", str(self._config)]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def check(self) -> None:
        """Raises `DemoError` with the node's own last words where it has ended."""
        code = self._process.poll() if self._process is not None else None
        if code is not None:
            words = self._log.read_text(errors="replace").strip()[-1000:]
            raise DemoError(f"the node ended with code {code}; {self._log} ends:\n{words}")


_CONFIG = """
[association]
ae_title = "QUARTET"
host = "127.0.0.1"
port = {port}
peers = [{{ ae_title = "DEMOPACS", addresses = ["127.0.0.1"] }}]
[storage]
root = "{root}"
reserve_bytes = 200000000
[study]
settle_s = 5.0
early_settle_s = 1.0
[[destinations]]
name = "demo"
ae_title = "DEMOPACS"
port = {pacs_port}
"""
