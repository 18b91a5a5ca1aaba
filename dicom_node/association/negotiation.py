"""Association requests and their answers (PS3.8 9.3.2 to 9.3.4, PS3.7 D.3). No I/O.

Called by the lobby. pynetdicom reads and writes the PDUs and negotiates the contexts; its faults end here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from dicom_node.association.errors import ProtocolViolation
from dicom_node.store.file_meta import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
"""PS3.7 A.2.1: the only one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AssociationRequest:
    """What a peer asks for."""

    called_ae_title: str
    calling_ae_title: str
    application_context: str
    maximum_length: int
    """The largest PDU body that the peer takes; 0: any."""
    contexts: tuple[PresentationContext, ...]
    roles: Mapping[str, tuple[bool, bool]]
    """SOP class -> (SCU, SCP) that the peer proposes for itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptedContext:
    """One accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """PS3.8 table 9-21."""

    result: int
    source: int
    reason: int
    text: str
    """In plain words, for our log."""


def decode(pdu: bytes) -> AssociationRequest:
    """Read an A-ASSOCIATE-RQ. Raises `ProtocolViolation` where it is damaged."""
    try:
        raw = A_ASSOCIATE_RQ()
        raw.decode(pdu)
        asked = raw.to_primitive()
        return AssociationRequest(
            called_ae_title=asked.called_ae_title.strip(),
            calling_ae_title=asked.calling_ae_title.strip(),
            application_context=str(asked.application_context_name),
            maximum_length=int(asked.maximum_length_received or 0),
            contexts=tuple(asked.presentation_context_definition_list),
            roles={
                str(item.sop_class_uid): (bool(item.scu_role), bool(item.scp_role))
                for item in asked.user_information
                if isinstance(item, SCP_SCU_RoleSelectionNegotiation)
            },
        )
    except Exception as error:  # pynetdicom raises anything on damaged bytes; the kind tells it from a fault of ours
        raise ProtocolViolation(f"an association request that cannot be read ({type(error).__name__})") from error


def accept(
    request: AssociationRequest, supported: Sequence[PresentationContext], maximum_pdu_bytes: int
) -> tuple[bytes, Mapping[int, AcceptedContext]]:
    """The A-ASSOCIATE-AC, and the accepted contexts by ID (none is possible: the peer then sees each one refused)."""
    proposed: dict[UID, tuple[bool | None, bool | None]] = {UID(uid): roles for uid, roles in request.roles.items()}
    negotiated, role_items = negotiate_as_acceptor(list(request.contexts), list(supported), proposed)
    answer = A_ASSOCIATE()
    answer.application_context_name = APPLICATION_CONTEXT
    answer.calling_ae_title, answer.called_ae_title = request.calling_ae_title, request.called_ae_title
    answer.result, answer.result_source = 0, 1
    answer.presentation_context_definition_results_list = negotiated
    length, implementation, version = (
        MaximumLengthNotification(),
        ImplementationClassUIDNotification(),
        ImplementationVersionNameNotification(),
    )
    length.maximum_length_received = maximum_pdu_bytes
    implementation.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    answer.user_information = [length, implementation, version, *role_items]
    accepted = {
        int(context.context_id or 0): AcceptedContext(
            abstract_syntax=str(context.abstract_syntax), transfer_syntax=str(context.transfer_syntax[0])
        )
        for context in negotiated
        if context.result == 0
    }
    return A_ASSOCIATE_AC(answer).encode(), accepted


def reject(rejection: Rejection) -> bytes:
    """The A-ASSOCIATE-RJ."""
    return bytes((3, 0, 0, 0, 0, 4, 0, rejection.result, rejection.source, rejection.reason))
