"""An association that we open: it keeps the answers for the sender, says who we are, and sends without delay."""

import socket
import time

from pynetdicom import evt
from pynetdicom.dimse_primitives import C_ECHO
from pynetdicom.presentation import build_context
from support.demo_pacs import running_pacs

from dicom_node.delivery.connection import MAXIMUM_PDU_BYTES, connect
from dicom_node.delivery.transport import open_socket
from dicom_node.settings import DestinationSettings
from dicom_node.store.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

VERIFICATION = "1.2.840.10008.1.1"
REACTOR_LOOKS_S = 0.2
"""pynetdicom's thread beside the association looks for messages every millisecond."""


def at(port: int) -> DestinationSettings:
    return DestinationSettings(name="pacs", ae_title="PACS", port=port, timeout_s=2)


def answer_to_an_echo() -> C_ECHO:
    answer = C_ECHO()
    answer.MessageIDBeingRespondedTo, answer.AffectedSOPClassUID, answer.Status = 1, VERIFICATION, 0x0000
    return answer


def test_an_answer_waits_for_the_sender_while_the_associations_thread_runs():
    """It took the answer and threw it away whenever it ran at that moment; the sender waited for the timeout."""
    answer = answer_to_an_echo()
    with running_pacs() as pacs, connect(at(pacs.port), [build_context(VERIFICATION)], own_ae_title="QUARTET") as link:
        link.association.dimse.msg_queue.put((1, answer))
        time.sleep(REACTOR_LOOKS_S)
        assert link.association.dimse.get_msg(block=True) == (1, answer)
        assert link.association.send_c_echo().Status == 0x0000


def test_a_peer_that_ends_the_association_is_still_noticed_between_two_messages():
    """That thread keeps its other duties."""
    aborted = (evt.EVT_C_ECHO, lambda event: event.assoc.abort() or 0x0000)
    with (
        running_pacs(handlers=[aborted]) as pacs,
        connect(at(pacs.port), [build_context(VERIFICATION)], own_ae_title="QUARTET") as link,
    ):
        assert "Status" not in link.association.send_c_echo()
        time.sleep(REACTOR_LOOKS_S)
        assert not link.association.is_established


def test_a_destination_sees_our_name_and_the_length_that_we_take():
    """PS3.7 D.3.3.1 and D.3.3.2."""
    asked = []
    seen = (evt.EVT_REQUESTED, lambda event: asked.append(event.assoc.requestor))
    with (
        running_pacs(handlers=[seen]) as pacs,
        connect(at(pacs.port), [build_context(VERIFICATION)], own_ae_title="QUARTET"),
    ):
        (we,) = asked
    assert we.implementation_class_uid == IMPLEMENTATION_CLASS_UID
    assert we.implementation_version_name == IMPLEMENTATION_VERSION_NAME
    assert we.maximum_length == MAXIMUM_PDU_BYTES


def test_small_pdus_are_not_held_back():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with open_socket(at(port), ("127.0.0.1", port)) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
