"""Command sets, PDUs and negotiation as bytes: agree with pynetdicom, and refuse what is damaged."""

import contextlib
import struct
from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, MRImageStorage, SegmentationStorage
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.dsutils import decode
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, P_DATA_TF
from pynetdicom.presentation import build_context
from support.raw_peer import VERIFICATION, association_request, command, p_data, store_command

from dicom_node.association import command_set, contexts, negotiation, pdu
from dicom_node.association.access import CALLED_UNKNOWN
from dicom_node.association.errors import ProtocolViolation
from dicom_node.association.statuses import Status, status_of
from dicom_node.errors import CatalogError, NodeError, StoreError
from dicom_node.store.errors import ObjectTooLarge, ObjectUnfit, ObjectUnreadable, StoreFull


def test_a_store_request_is_read() -> None:
    got = command_set.decode(store_command(MRImageStorage, "1.2.3", 77))
    assert (got.field, got.message_id, got.has_data_set) == (1, 77, True)
    assert (got.sop_class_uid, got.sop_instance_uid) == (MRImageStorage, "1.2.3")


def test_a_response_is_read_by_pynetdicom() -> None:
    request = command_set.decode(store_command(MRImageStorage, "1.2.3", 77))
    answer = command_set.response(
        request, Status.OUT_OF_RESOURCES, "no room in the storage root, and very much more than 64 bytes of text"
    )
    ds = decode(BytesIO(answer), True, True)
    message = C_STORE_RSP()
    message.command_set = ds
    assert (ds.Status, ds.MessageIDBeingRespondedTo, ds.CommandField) == (0xA700, 77, 0x8001)
    assert ds.AffectedSOPInstanceUID == "1.2.3"
    assert len(ds.ErrorComment) == 64
    assert ds.CommandGroupLength == len(answer) - 12


@pytest.mark.parametrize("cut", range(1, len(store_command(MRImageStorage, "1.2.3")), 3))
def test_half_a_command_set_is_none(cut: int) -> None:
    with pytest.raises(ProtocolViolation):
        command_set.decode(store_command(MRImageStorage, "1.2.3")[:cut])


def test_a_command_set_of_another_group_or_without_message_id_is_none() -> None:
    for data in (struct.pack("<HHL", 8, 0x18, 0), command(e0100=1, e0800=0), b""):
        with pytest.raises(ProtocolViolation):
            command_set.decode(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    for act in (
        lambda: command_set.decode(data),
        lambda: list(pdu.fragments(memoryview(data))),
        lambda: negotiation.decode(b"\x01\x00" + len(data).to_bytes(4, "big") + data),
    ):
        with contextlib.suppress(ProtocolViolation):
            act()


WHOLE: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "command set": (command_set.decode, store_command(MRImageStorage, "1.2.3")),
    "association request": (negotiation.decode, association_request(scp_role_of=MRImageStorage)),
    "fragments": (
        lambda data: list(pdu.fragments(memoryview(data))),
        2 * p_data(b"abc", is_command=True, is_last=False)[6:],
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_these_bytes_are_read_whole(name: str) -> None:
    read, data = WHOLE[name]
    assert read(data)


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_altered_bytes_are_read_or_refused(name: str, data: st.DataObject) -> None:
    """Random bytes fall at the first check; these get as far as a peer's real faults do."""
    read, whole = WHOLE[name]
    altered = bytearray(whole)
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=4)):
        altered[at] = value
    with contextlib.suppress(ProtocolViolation):
        read(bytes(altered))


@pytest.mark.parametrize("maximum_length", [0, 16, 64, 16384])
def test_responses_fit_the_peers_pdus(maximum_length: int) -> None:
    """Split where the peer takes little; pynetdicom joins the parts."""
    data = bytes(range(200))
    sent = pdu.command(5, data, maximum_length)
    joined, at = b"", 0
    while at < len(sent):
        length = int.from_bytes(sent[at + 2 : at + 6], "big")
        assert not maximum_length or length <= maximum_length
        one = P_DATA_TF()
        one.decode(sent[at : at + 6 + length])
        value = one.presentation_data_value_items[0].presentation_data_value
        joined += value[1:]
        at += 6 + length
        assert (value[0] == 3) == (at == len(sent))
    assert joined == data


def test_fragments_of_one_pdu() -> None:
    two = p_data(b"abc", is_command=True, is_last=False)[6:] + p_data(b"", is_command=False, context_id=3)[6:]
    first, second = pdu.fragments(memoryview(two))
    assert (first.context_id, first.is_command, first.is_last, bytes(first.data)) == (1, True, False, b"abc")
    assert (second.context_id, second.is_command, second.is_last, bytes(second.data)) == (3, False, True, b"")


def test_contexts_are_accepted_and_refused_one_by_one() -> None:
    request = negotiation.decode(
        association_request(abstract_syntaxes=(MRImageStorage, SegmentationStorage, VERIFICATION))
    )
    answer, accepted = negotiation.accept(request, contexts.supported(False), 131_072)
    assert {number: one.abstract_syntax for number, one in accepted.items()} == {1: MRImageStorage, 5: VERIFICATION}
    read = A_ASSOCIATE_AC()
    read.decode(answer)
    assert [item.result for item in read.presentation_context] == [0, 3, 0]
    assert read.user_information.maximum_length == 131_072


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, JPEG2000Lossless])
def test_the_transfer_syntax_is_one_that_was_proposed(syntax: str) -> None:
    request = negotiation.decode(association_request(transfer_syntax=syntax))
    _, accepted = negotiation.accept(request, contexts.supported(False), 131_072)
    assert accepted[1].transfer_syntax == syntax


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"])
def test_bombs_retired_and_lossy_syntaxes_are_refused(syntax: str) -> None:
    request = negotiation.decode(association_request(transfer_syntax=syntax, abstract_syntaxes=(MRImageStorage,)))
    assert negotiation.accept(request, contexts.supported(False), 131_072)[1] == {}


def test_commitment_is_offered_only_where_it_is_used() -> None:
    offered = {context.abstract_syntax for context in contexts.supported(False)}
    assert contexts.STORAGE_COMMITMENT not in offered
    assert build_context(contexts.STORAGE_COMMITMENT).abstract_syntax in {
        context.abstract_syntax for context in contexts.supported(True)
    }


def test_a_rejection_is_read_by_pynetdicom() -> None:
    read = A_ASSOCIATE_RJ()
    read.decode(negotiation.reject(CALLED_UNKNOWN))
    assert (read.result, read.source, read.reason_diagnostic) == (1, 1, 7)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreFull("x"), 0xA700),
        (ObjectTooLarge("x"), 0xA700),
        (ObjectUnfit("x"), 0xA900),
        (ObjectUnreadable("x"), 0xC000),
        (StoreError("x"), 0x0110),
        (CatalogError("x"), 0x0110),
        (NodeError("x"), 0x0110),
    ],
)
def test_each_kind_of_error_has_its_status(error: NodeError, status: int) -> None:
    assert status_of(error) == status
