"""Images a second by C-STORE against DCMTK's storescp, side by side in one run: `make bench-ingest`.

Each round sends the same slices (256 x 256, 133 kB) with DCMTK's storescu to both receivers, one after the other, with
1 and with 4 senders, with TCP_NODELAY and with the senders' Nagle left on as in the field. Ours makes each object
durable (two fsyncs) and records it in the catalog before it answers; storescp does neither, so the disk's own pace for
those two fsyncs is measured too, and the receiver's own processor time, which other work on the machine hardly touches.
"""
# ruff: noqa: E402

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from support.dicom_objects import mr_series, uid, write

from dicom_node.association.server import Receiver
from dicom_node.catalog.database import Database
from dicom_node.catalog.intake import CatalogIntake
from dicom_node.contract.job_folder import sync_folder
from dicom_node.records import Receipt, ReceivedInstance
from dicom_node.settings import AssociationSettings
from dicom_node.store.instances import InstanceStore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--without-catalog", action="store_true")
    parser.add_argument("--without-nagle", action="store_true", help="skip the slow rounds with Nagle on")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, catalog=not arguments.without_catalog)
        return
    if shutil.which("storescu") is None:
        sys.exit("storescu is missing: apt-get install dcmtk")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments)
    for line in figures:
        print(
            f"{line['senders']} senders, Nagle {'on ' if line['nagle'] else 'off'}: "
            f"quartet {line['quartet']:6.0f}/s  storescp {line['storescp']:6.0f}/s  ratio {line['ratio']:.2f}   "
            f"disk alone {line['disk']:6.0f}/s   processor {line['cpu_ms']:.2f} ms/image   "
            f"peak memory {line['peak_mb']:.0f} MB"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


def measure(folder: Path, arguments: argparse.Namespace) -> list[dict[str, float]]:
    """One line of medians for each number of senders and state of Nagle."""
    figures = []
    for nagle in (False,) if arguments.without_nagle else (False, True):
        images = arguments.images if not nagle else arguments.images // 4
        for senders in (1, 4):
            rounds = [
                one_round(folder / f"{nagle}{senders}{n}", senders, images, nagle, arguments)
                for n in range(arguments.rounds)
            ]
            median = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
            figures.append({"senders": senders, "nagle": nagle, **median})
    return figures


def one_round(folder: Path, senders: int, images: int, nagle: bool, arguments: argparse.Namespace) -> dict[str, float]:
    sources = [folder / f"in{n}" for n in range(senders)]
    for number, source in enumerate(sources):
        series = mr_series(
            shape_zyx=(images // senders, 256, 256), patient_id=f"P{number}", series_uid=uid(folder, number)
        )
        write(series, source)
    environment = os.environ | ({} if nagle else {"TCP_NODELAY": "1"})
    ours, peak_mb, cpu_s = ours_once(folder, sources, environment, catalog=not arguments.without_catalog)
    theirs = storescp_once(folder, sources, environment, fork=senders > 1)
    disk = disk_once(folder / "disk", images)
    shutil.rmtree(folder)
    return {
        "quartet": images / ours,
        "storescp": images / theirs,
        "ratio": theirs / ours,
        "disk": images / disk,
        "peak_mb": peak_mb,
        "cpu_ms": 1000 * cpu_s / images,
    }


def ours_once(folder: Path, sources: list[Path], environment: dict[str, str], *, catalog: bool) -> tuple[float, ...]:
    """Seconds, and of the receiver: peak memory in MB, processor seconds while it received."""
    command = [sys.executable, __file__, "--serve", str(folder / "root")]
    command += [] if catalog else ["--without-catalog"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdin is not None
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        seconds = send(sources, port, environment)
        receiver.stdin.close()
        peak_mb, cpu_s = map(float, receiver.stdout.readline().split())
        return seconds, peak_mb, cpu_s


def storescp_once(folder: Path, sources: list[Path], environment: dict[str, str], *, fork: bool) -> float:
    target = folder / "storescp"
    target.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--fork"] if fork else []
    with subprocess.Popen(["storescp", *options, "-od", str(target), str(port)], env=environment) as receiver:
        wait_for(port)
        seconds = send(sources, port, environment)
        receiver.terminate()
    return seconds


def disk_once(folder: Path, images: int) -> float:
    """Seconds to write as many files of that size durably, one after the other, without any network."""
    folder.mkdir()
    data = os.urandom(133_000)
    began = time.perf_counter()
    for number in range(images):
        temporary = folder / f"{number}.part"
        with temporary.open("wb", buffering=0) as file:
            file.write(data)
            os.fsync(file.fileno())
        temporary.rename(folder / f"{number}.dcm")
        sync_folder(folder)
    return time.perf_counter() - began


def send(sources: list[Path], port: int, environment: dict[str, str]) -> float:
    """Seconds until every sender is done; each must have succeeded."""
    began = time.perf_counter()
    senders = [
        subprocess.Popen(["storescu", "+sd", "-aec", "QUARTET", "127.0.0.1", str(port), str(source)], env=environment)
        for source in sources
    ]
    if any(sender.wait() for sender in senders):
        sys.exit("a sender failed")
    return time.perf_counter() - began


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit("storescp did not start")


class Forgetful:
    """An intake that forgets, to see what the catalog costs."""

    def receive(self, received: ReceivedInstance) -> Receipt:
        return Receipt.STORED

    def association_opened(self, association_id: str, peer: str) -> None: ...
    def study_open(self, association_id: str, study_instance_uid: str) -> None: ...
    def association_closed(self, association_id: str) -> None: ...


def serve(root: Path, *, catalog: bool) -> None:
    """The receiver of one round: prints its port, works until stdin ends, prints its peak memory in MB."""
    store = InstanceStore(root, 0)
    store.prepare()
    intake = CatalogIntake(Database(f"sqlite:///{root / 'catalog.sqlite'}")) if catalog else Forgetful()
    receiver = Receiver(AssociationSettings(host="127.0.0.1", port=0, any_peer=True), intake, store)
    receiver.start()
    before = resource.getrusage(resource.RUSAGE_SELF)
    print(receiver.port, flush=True)
    sys.stdin.read()
    receiver.stop()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(after.ru_maxrss / 1024, cpu_s, flush=True)


if __name__ == "__main__":
    main()
