"""Debian's DCMTK as the world around the node: storescp receives, storescu and dcmsend send. Tests skip without it."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.node import listens

from dicom_node.broker import LOOPBACK, free_port


def program(name: str) -> str:
    """Path of a program of DCMTK; skips the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip("apt-get install dcmtk")
    return path


@dataclass
class ForeignPacs:
    """storescp with a folder, on one port that it keeps when it is stopped and started again."""

    folder: Path
    port: int
    ae_title: str = "FOREIGN"
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        words = ["--promiscuous", "-B", "-aet", self.ae_title, "-od", str(self.folder), str(self.port)]
        self.process = subprocess.Popen(
            [program("storescp"), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(600):
            if listens(self.port):
                return
            time.sleep(0.1)
        raise AssertionError("storescp does not answer")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def received(self) -> list[Path]:
        """Files in the order of arrival."""
        return sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


@contextmanager
def foreign_pacs(folder: Path) -> Iterator[ForeignPacs]:
    """A running storescp."""
    pacs = ForeignPacs(folder=folder, port=free_port())
    pacs.start()
    try:
        yield pacs
    finally:
        pacs.stop()


def storescu(
    port: int, files: Sequence[Path], *, calling: str = "TEST", called: str = "QUARTET", words: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    """Send with storescu, which says everything on stderr."""
    names = [str(path) for path in files]
    return _run([program("storescu"), "-v", "-aet", calling, "-aec", called, *words, LOOPBACK, str(port), *names])


def dcmsend(port: int, files: Sequence[Path], *, calling: str = "TEST") -> "subprocess.CompletedProcess[str]":
    """Send with dcmsend."""
    names = [str(path) for path in files]
    return _run([program("dcmsend"), "-v", "-aet", calling, "-aec", "QUARTET", LOOPBACK, str(port), *names])


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    return subprocess.CompletedProcess(command, done.returncode, "", done.stdout + done.stderr)
