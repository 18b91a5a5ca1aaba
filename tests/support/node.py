"""Runs a whole node as its own processes in a folder, on free loopback ports, as `quartet serve` does for a user.

    with running_node(tmp_path, destinations=(pacs.port,)) as node:
        node.send(study.files)
        node.wait_until(lambda: pacs.got)
        print(node.quartet("show", study.study_uid).stdout)

The weights are those of support.firing_weights, so a study of support.studies takes seconds.
"""

import gc
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage, Verification
from support.firing_weights import firing_weights

from dicom_node.broker import LOOPBACK, free_port
from dicom_node.delivery.answers import Answers

NODE_AE = "QUARTET"
START_S = 120.0
"""A busy machine takes its time to import torch."""
PATIENCE_S = 240.0


@dataclass
class Node:
    """A node and the folder it lives in: quartet.toml, storage/, weights/, node.log."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "quartet.toml"

    @property
    def storage(self) -> Path:
        return self.folder / "storage"

    @property
    def log(self) -> str:
        path = self.folder / "node.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, command: str = "serve", *, wait: bool = True) -> None:
        """Start `quartet serve` (or another command) and wait until it answers a C-ECHO."""
        with (self.folder / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dicom_node.cli", command, "--config", str(self.config)],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        if wait:
            self.wait_until(self.echoes, START_S)

    def stop(self, seconds: float = 65.0) -> int:
        """SIGTERM, and the exit code; fails where the node is not gone after `seconds`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process = None
        return code

    def kill(self) -> None:
        """SIGKILL to the whole session, for tidying up after a test that failed."""
        if self.process is not None:
            for pid in [*descendants(self.process.pid), self.process.pid]:
                _kill(pid)
            self.process.wait()
            self.process = None

    def echoes(self, calling: str = "TEST") -> bool:
        """Whether the node answers a C-ECHO now."""
        if not listens(self.port):  # pynetdicom leaks the socket of a refused connection
            return False
        entity = AE(calling)
        entity.add_requested_context(Verification)
        entity.connection_timeout = 2
        association = entity.associate(LOOPBACK, self.port, ae_title=NODE_AE)
        if not association.is_established:
            _end(association)
            del association
            sweep()
            return False
        status = association.send_c_echo()
        association.release()
        return getattr(status, "Status", None) == 0

    def send(self, files: Sequence[Path], calling: str = "TEST", called: str = NODE_AE) -> list[int]:
        """C-STORE the files over one association with pynetdicom, and the status of each (-1: no answer)."""
        if not listens(self.port):
            return [-1] * len(files)
        entity = AE(calling)
        entity.add_requested_context(MRImageStorage, ["1.2.840.10008.1.2.1"])
        association = entity.associate(LOOPBACK, self.port, ae_title=called)
        if not association.is_established:
            _end(association)
            del association
            sweep()
            return [-1] * len(files)
        association.dimse = Answers(association)
        statuses = []
        for file in files:
            try:
                answer: Any = association.send_c_store(dcmread(file))
            except RuntimeError:  # the association is gone
                answer = None
            statuses.append(getattr(answer, "Status", -1))
        association.release()
        return statuses

    def quartet(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `quartet WORDS --config ...` beside the node, on a wide terminal."""
        return subprocess.run(
            [sys.executable, "-m", "dicom_node.cli", *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            env={**os.environ, "COLUMNS": "220", **self.environment},
        )

    def wait_until(self, holds: Callable[[], object], seconds: float = PATIENCE_S, every_s: float = 0.25) -> None:
        """Return as soon as `holds` gives something true. Fails with the end of the log after `seconds`."""
        deadline = time.monotonic() + seconds
        while not holds():
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the node ended with {self.process.returncode}:\n{self.log[-4000:]}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:.0f} s; the node's log ends:\n{self.log[-4000:]}")
            time.sleep(every_s)

    def parts(self) -> dict[str, int]:
        """Process id by part: receive, coordinate, worker, worker-child, broker. Those that live now."""
        assert self.process is not None
        found: dict[str, int] = {}
        for pid in descendants(self.process.pid):
            name = _part(pid)
            if name == "worker" and "worker" in found:
                name = "worker-child"
            if name:
                found.setdefault(name, pid)
        return found


@contextmanager
def running_node(folder: Path, *, start: bool = True, **settings: Any) -> Iterator[Node]:
    """A node in `folder`; see `write_config` for `settings`. Ended at the end, gently if it can be."""
    node = make_node(folder, **settings)
    try:
        if start:
            node.start()
        yield node
        if node.process is not None:
            node.stop()
    finally:
        node.kill()


def make_node(folder: Path, **settings: Any) -> Node:
    """Everything but the process."""
    folder.mkdir(parents=True, exist_ok=True)
    node = Node(folder=folder, port=settings.pop("port", None) or free_port())
    write_config(node, **settings)
    return node


def write_config(
    node: Node,
    *,
    destinations: Mapping[str, int] | None = None,
    weights: Path | None = None,
    settle_s: float = 1.5,
    more: str = "",
    storage: Path | None = None,
    reserve_bytes: int = 1_000_000,
    lease_s: float = 30.0,
    jobs: str = "",
    peers: Sequence[str] = ("TEST",),
) -> None:
    """quartet.toml of a node in a hurry. destinations: AE title -> loopback port; jobs: more lines of [jobs]."""
    if weights is None:
        weights = node.folder / "weights"
        if not weights.exists():
            firing_weights(weights)
    root = storage or node.storage
    pacs = "".join(
        f'[[destinations]]\nname = "{ae.lower()}"\nae_title = "{ae}"\nport = {port}\ntimeout_s = 20.0\n'
        for ae, port in (destinations or {}).items()
    )
    allowed = ", ".join(f'{{ ae_title = "{ae}", addresses = ["127.0.0.1"] }}' for ae in peers)
    node.config.write_text(
        f"""
[association]
ae_title = "{NODE_AE}"
host = "{LOOPBACK}"
port = {node.port}
peers = [{allowed}]
drain_s = 20.0
[storage]
root = "{root}"
reserve_bytes = {reserve_bytes}
[study]
settle_s = {settle_s}
early_settle_s = {settle_s}
[jobs]
lease_s = {lease_s}
ring_again_s = 3.0
{jobs}
[retry]
first_s = 1.0
longest_s = 2.0
[worker]
device = "cpu"
weights = "{weights}"
beat_s = 1.0
{pacs}
{more}
"""
    )


def _end(association: Any) -> None:
    """Wait for the thread of an association that failed."""
    if association.ident is not None:
        association.join(2)


def sweep() -> None:
    """Free the socket of a failed association: pynetdicom leaves it open in a cycle, for pytest to stumble over."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def listens(port: int) -> bool:
    """Whether something on loopback accepts connections to this port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def descendants(pid: int) -> list[int]:
    """Process ids below `pid`, parents before children."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop(0))
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return []


def _part(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    if "valkey" in words[0] or "redis-server" in words[0]:
        return "broker"
    if "dicom_node.cli" in words:
        return words[words.index("dicom_node.cli") + 1]
    return "worker" if "worker" in words else ""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
