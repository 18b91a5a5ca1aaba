"""Answers that the sender of results loses, and objects a second: `make bench-answers`.

Some threads send small C-STOREs to a peer that answers each at once, from a process of its own. An answer counts as
lost where the sender waited for it in vain. `--stock` shows pynetdicom without delivery/answers.py: on a busy machine
it loses about one in some thousands, and what would have followed on the same association is not sent either.
"""
# ruff: noqa: E402

import argparse
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from pydicom.uid import SegmentationStorage
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.presentation import build_context
from support.raw_peer import command, p_data
from support.results_dicom import write_object

from dicom_node.association import negotiation, pdu
from dicom_node.association.pdu import PduType
from dicom_node.delivery import connection
from dicom_node.delivery.report import FileReport, Verdict
from dicom_node.delivery.send import send_files
from dicom_node.settings import DestinationSettings

FILES_AN_ASSOCIATION = 100
TIMEOUT_S = 2.0
"""The peer answers within milliseconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--stock", action="store_true", help="pynetdicom as it comes")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    if arguments.stock:
        connection.Answers = DIMSEServiceProvider
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as peer:
        assert peer.stdout is not None
        port = int(peer.stdout.readline())
        since = time.monotonic()
        reports = send(port, arguments.objects, arguments.senders)
        seconds = time.monotonic() - since
        peer.terminate()
    fates = Counter(fate(report) for report in reports)
    print(f"{dict(fates)}   {fates['sent'] / seconds:.0f} objects/s")


def fate(report: FileReport) -> str:
    """What became of one object."""
    if report.verdict is Verdict.SENT:
        return "sent"
    return "answer lost" if "no answer" in report.reason else "not sent after that"


def send(port: int, objects: int, senders: int) -> list[FileReport]:
    destination = DestinationSettings(name="peer", ae_title="PEER", port=port, timeout_s=TIMEOUT_S)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(senders) as threads:
        files = [
            write_object(Path(folder) / f"{number}.dcm", SegmentationStorage, number + 1)
            for number in range(FILES_AN_ASSOCIATION)
        ]
        rounds = [
            threads.submit(send_files, destination, files, own_ae_title="BENCH")
            for _ in range(objects // FILES_AN_ASSOCIATION)
        ]
        return [report for one in rounds for report in one.result()]


def serve() -> None:
    """Answer on a port that is printed, until the process is ended."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            threading.Thread(target=answer_all, args=(server.accept()[0],), daemon=True).start()


def answer_all(accepted: socket.socket) -> None:
    """One association: every C-STORE gets 0x0000 once its last fragment is there."""
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    message_id = 0
    with accepted, accepted.makefile("rb") as incoming:
        while head := incoming.read(pdu.HEADER_BYTES):
            kind, length = pdu.header(memoryview(head))
            body = incoming.read(length)
            if kind is PduType.ASSOCIATE_RQ:
                request = negotiation.decode(head + body)
                accepted.sendall(negotiation.accept(request, [build_context(SegmentationStorage)], 131_072)[0])
            elif kind is PduType.DATA:
                for fragment in pdu.fragments(memoryview(body)):
                    if fragment.is_command:
                        message_id = element(bytes(fragment.data), 0x0110)
                    elif fragment.is_last:
                        accepted.sendall(success(fragment.context_id, message_id))
            elif kind is PduType.RELEASE_RQ:
                accepted.sendall(pdu.RELEASE_RP)


def success(context_id: int, message_id: int) -> bytes:
    """A C-STORE-RSP of 0x0000 (PS3.7 9.3.1.2)."""
    elements = command(e0002=str(SegmentationStorage), e0100=0x8001, e0120=message_id, e0800=0x0101, e0900=0x0000)
    return p_data(elements, is_command=True, context_id=context_id)


def element(command_set: bytes, wanted: int) -> int:
    """A number (US) of a command set."""
    at = 0
    while at < len(command_set):
        _, number, length = struct.unpack_from("<HHL", command_set, at)
        if number == wanted:
            return int.from_bytes(command_set[at + 8 : at + 8 + length], "little")
        at += 8 + length
    raise ValueError(f"the command set has no element {wanted:04X}")


if __name__ == "__main__":
    main()
