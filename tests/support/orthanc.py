"""Debian's Orthanc as a PACS for tests: in a folder of the test, on free loopback ports, with DICOMweb.

with running_orthanc(tmp_path, quartet_port=receiver.port) as orthanc:
    orthanc.dicom_port, orthanc.dicomweb_url, orthanc.count("instances")
"""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

AE_TITLE = "ORTHANC"
_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_STARTS_WITHIN_S = 60


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc."""

    dicom_port: int
    http_port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dicomweb_url(self) -> str:
        return f"{self.url}/dicom-web"

    def get(self, path: str, **parameters: str) -> Any:
        """JSON of the REST API or, under /dicom-web, of DICOMweb."""
        answer = httpx.get(self.url + path, params=parameters, headers={"Accept": "application/json"}, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def count(self, level: str = "instances") -> int:
        return len(self.get(f"/{level}"))

    def file_of(self, sop_instance_uid: str) -> bytes:
        """The stored file as it lies there."""
        found = httpx.post(f"{self.url}/tools/lookup", content=sop_instance_uid, timeout=30).json()
        (instance,) = [one["ID"] for one in found if one["Type"] == "Instance"]
        return httpx.get(f"{self.url}/instances/{instance}/file", timeout=30).content


@contextmanager
def running_orthanc(folder: Path, *, quartet_port: int = 1, **options: Any) -> Iterator[Orthanc]:
    """Start one that knows a node QUARTET at `quartet_port`, stop it at the end. Skips where there is none."""
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None or not _DICOMWEB.exists():
        pytest.skip("apt-get install orthanc orthanc-dicomweb")
    dicom_port, http_port = _free_ports(2)
    folder.mkdir(parents=True, exist_ok=True)
    configuration = {
        "Name": "Test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": AE_TITLE,
        "DicomPort": dicom_port,
        "DicomCheckCalledAet": True,
        "DicomModalities": {"quartet": ["QUARTET", "127.0.0.1", quartet_port]},
        "Plugins": [str(_DICOMWEB)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
        "HttpThreadsCount": 10,
        "ConcurrentJobs": 2,
        **options,
    }
    settings = folder / "orthanc.json"
    settings.write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(settings)], stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    orthanc = Orthanc(dicom_port=dicom_port, http_port=http_port, log=folder / "log")
    try:
        _await_start(orthanc, process)
        yield orthanc
    finally:
        process.terminate()
        process.wait(30)


def _await_start(orthanc: Orthanc, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            orthanc.get("/system")
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Orthanc did not start:\n{orthanc.log.read_text(errors='replace')[-3000:]}")


def _free_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports
