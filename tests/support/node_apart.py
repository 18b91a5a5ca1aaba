"""A node whose parts run apart, as on several machines: own processes, a real Redis and a catalog by URL.

with redis_server(tmp_path) as redis, running_apart(tmp_path, redis, catalog_url, destinations=...) as apart:
    apart.node.send(study.files)
    redis.kill()
    apart.kill("coordinate")
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.node import START_S, Node, descendants, listens, make_node

from dicom_node.broker import LOOPBACK, free_port

PARTS = ("receive", "coordinate", "worker")


@dataclass
class RedisServer:
    """A Redis that keeps nothing on disk, on one port that it keeps over restarts."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        words = ["--port", str(self.port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            ["redis-server", *words, "--dir", str(self.folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(600):
            if listens(self.port):
                return
            time.sleep(0.1)
        raise AssertionError("redis-server does not answer")

    def kill(self) -> None:
        """SIGKILL: all that was queued is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A running Redis; skips the test where Debian's is not installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("apt-get install redis-server")
    server = RedisServer(folder=folder, port=free_port())
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass
class Apart:
    """The parts of one node, each started by its own command. `node` sends, asks and reads."""

    node: Node
    processes: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    def start(self, *parts: str) -> None:
        with (self.node.folder / "node.log").open("ab") as log:
            for part in parts:
                command = [sys.executable, "-m", "dicom_node.cli", part, "--config", str(self.node.config)]
                self.processes[part] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        if "receive" in parts:
            self.node.wait_until(self.node.echoes, START_S)

    def kill(self, part: str) -> None:
        """SIGKILL to the part and all below it."""
        process = self.processes.pop(part)
        for pid in [*descendants(process.pid), process.pid]:
            _signal(pid, signal.SIGKILL)
        process.wait()

    def stop(self, seconds: float = 65.0) -> dict[str, int]:
        """SIGTERM to all parts; the exit code of each."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        codes = {part: process.wait(seconds) for part, process in self.processes.items()}
        self.processes.clear()
        return codes


@contextmanager
def running_apart(folder: Path, redis: RedisServer, catalog_url: str, **settings: Any) -> Iterator[Apart]:
    """All parts, started. `settings` as of support.node.write_config."""
    more = f'[catalog]\nurl = "{catalog_url}"\n[broker]\nurl = "{redis.url}"\n'
    apart = Apart(make_node(folder, more=more, **settings))
    try:
        apart.start(*PARTS)
        yield apart
    finally:
        for part in list(apart.processes):
            apart.kill(part)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
