"""Sections 3.3 to 7 of the statement: network, configuration, media, character sets, security, and what results hold.

Called by statement.py.
"""

from dicom_node.association.wire import MAXIMUM_PDU_BYTES
from dicom_node.conformance.markdown import section, table
from dicom_node.settings import AssociationSettings, Settings


def network() -> str:
    """Physical network and the stack (PS3.2 A.4.3)."""
    return section(
        "### 3.3 Network interfaces",
        "DICOM upper layer over TCP/IP, IPv4 and IPv6, by the operating system's stack. Names are looked up in DNS.",
    )


def configuration(settings: Settings) -> str:
    """AE titles, addresses and parameters (PS3.2 A.4.4)."""
    association = settings.association
    return section(
        "### 3.4 Configuration",
        f"Our AE title is {association.ae_title}, at {association.host} port {association.port}. All of it, and the "
        "destinations of section 3.2.3.4, stand in one file, which the person who installs edits.",
        _peers(association),
        table(("Parameter", "Value"), _parameters(association)),
    )


def _peers(association: AssociationSettings) -> str:
    if not association.peers:
        return ""
    rows = ((peer.ae_title, ", ".join(peer.addresses) or "any") for peer in association.peers)
    return table(("Calling AE title accepted", "From address"), rows)


def _parameters(association: AssociationSettings) -> tuple[tuple[str, str], ...]:
    return (
        ("Maximum PDU length that we advertise", f"{association.maximum_pdu_bytes} bytes"),
        ("Longest PDU that we take", f"{MAXIMUM_PDU_BYTES} bytes"),
        ("Largest object that we take", f"{association.maximum_object_bytes} bytes"),
        ("From connection to whole association request (ARTIM)", f"{association.acse_timeout_s:g} s"),
        ("Between two messages", f"{association.network_timeout_s:g} s"),
        ("Within a message, for the next PDU", f"{association.dimse_timeout_s:g} s"),
        ("Within a PDU, without a byte", f"{association.socket_timeout_s:g} s"),
        ("From the first byte of a PDU to its last", f"{association.pdu_deadline_s:g} s"),
        ("At shutdown open associations may finish for", f"{association.drain_s:g} s"),
    )


def security(settings: Settings) -> str:
    """TLS and access (PS3.2 A.7, PS3.15)."""
    tls = settings.association.tls
    if tls is None:
        receiver = "The receiver speaks without TLS in this configuration; it can be given a certificate."
    elif tls.ca_file is None:
        receiver = "The receiver speaks TLS 1.2 and 1.3 only (PS3.15 B.9, BCP 195); senders need no certificate."
    else:
        receiver = (
            "The receiver speaks TLS 1.2 and 1.3 only (PS3.15 B.9, BCP 195), and senders must show a certificate that "
            "our authority signed."
        )
    return section(
        "## 6 Security",
        receiver,
        "Associations are admitted by called and calling AE title and, where given, by address (section 3.2.2.5). User "
        "identity negotiation, digital signatures and audit messages (PS3.15 A.5) are not supported. Logs hold no "
        "patient data. Objects are not de-identified: results carry the patient and study of their source.",
    )


MEDIA = section("## 4 Media interchange", "Not supported.")

CHARACTER_SETS = section(
    "## 5 Character sets",
    "All character sets of PS3.3 C.12.1.1.2 are accepted: objects are stored as they came. Results take Specific "
    "Character Set, patient and study attributes over from their source unchanged; text of our own is ASCII.",
)

RESULTS = section(
    "## 7 What results hold",
    "Results are standard extended by nothing: no private SOP class, attribute, or transfer syntax. Each is in the "
    "study of its source, in a series of its own; Manufacturer's Model Name and Software Versions name the software, "
    "and the device serial number the weights. UIDs are derived (2.25, PS3.5 B.2) from study, input, weights, settings "
    "and kind.",
    "- Segmentation (PS3.3 A.51): frames on the planes of the reference series (BRAVO if there, else post- and "
    "pre-contrast CUBE, FLAIR), in its frame of reference; segment category and type coded in SNOMED CT; algorithm "
    "type AUTOMATIC.\n"
    "- Structured report: TID 1500 Measurement Report, with a TID 1411 group for each lesion (tracking identifier and "
    "UID, volume in mL, long axis in mm); sequences used, missing and rejected with the reason; model, version and "
    'digest of the weights; performance measured for these sequences; "research use only".',
    "A study in which nothing was found gets a report and no segmentation. A study that cannot be processed gets "
    "nothing; the reason stands in the node.",
)
