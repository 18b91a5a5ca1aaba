"""Section 3.2.3 of the statement: delivery as requestor of associations (PS3.2 A.4.2.x.3).

Called by statement.py. SOP classes and the meaning of statuses are those of the room `delivery`.
"""

from collections.abc import Iterator

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.conformance.acceptor import uses_commitment
from dicom_node.conformance.markdown import section, table, uid_row
from dicom_node.contract.messages import Product
from dicom_node.delivery.commitment import LINGER_S
from dicom_node.delivery.destinations import PRODUCT_CLASSES, STORAGE_COMMITMENT
from dicom_node.delivery.report import Verdict
from dicom_node.delivery.responses import of_status
from dicom_node.settings import RetrySettings, Settings

_WHAT = {
    Product.SEG: "all metastases as one binary segment",
    Product.SEG_PER_LESION: "one binary segment for each lesion",
    Product.SEG_FRACTIONAL: "the probability as a fractional segment",
    Product.PARAMETRIC_MAP: "the probability as a parametric map",
    Product.RTSTRUCT: "outlines",
    Product.SECONDARY_CAPTURE: "slices with the outlines drawn in",
    Product.SR: "measurements, TID 1500",
    Product.SR_COMPREHENSIVE: "measurements, TID 1500",
}
_STATUSES = (
    0x0000, 0xB000, 0xB006, 0xB007, 0x0110, 0x0111, 0x0117, 0x0122, 0x0124, 0x0211, 0x0213, 0xA700, 0xA900, 0xC000,
)  # fmt: skip
_FAMILIES = {0xA700: "A7xx", 0xA900: "A9xx", 0xC000: "Cxxx"}
_BEHAVIOUR = {
    Verdict.SENT: "counts as stored",
    Verdict.RETRY: "the same bytes are sent again later",
    Verdict.REFUSED: "not sent again until a person asks for it; the reason stands at the study",
}


def requestor(settings: Settings) -> str:
    """The section, for these settings."""
    return section(
        "### 3.2.3 Association initiation",
        "When a result is whole (all its objects exist and were checked) it is sent to each destination that wants it, "
        "over one association at a time for each. Objects that a report refers to go before the report; where one is "
        "not stored the rest is not sent. A new result of the same study, after a series that came late, has instances "
        "of its own and names its predecessor. Processing the same input again gives the same SOP Instance UIDs and "
        "bytes.",
        "#### 3.2.3.1 Presentation contexts proposed",
        "One context for each SOP class of the result at hand and transfer syntax: "
        + ", ".join(f"{name} ({uid})" for name, uid in map(uid_row, (ExplicitVRLittleEndian, ImplicitVRLittleEndian)))
        + ". Where the peer takes both, Explicit VR Little Endian is used.",
        table(("SOP class", "UID", "Content", "Role", "Extended negotiation", "Sent to"), _products(settings)),
        "`quartet echo` proposes the same SOP classes and Verification (1.2.840.10008.1.1, SCU).",
        "#### 3.2.3.2 Storage as SCU",
        table(("Status", "Meaning for us", "Behaviour"), _statuses()),
        f"{_retry(settings.retry)} An association that does not come about, is rejected as transient or breaks off is "
        "tried again likewise; a permanent rejection or a refused SOP class is not.",
        _commitment(settings),
        "#### 3.2.3.4 Destinations",
        _destinations(settings),
    )


def _products(settings: Settings) -> Iterator[tuple[str, ...]]:
    for product, sop_class in PRODUCT_CLASSES.items():
        names = [one.name for one in settings.destinations if product in one.products]
        what = f"`{product.value}`: {_WHAT[product]}"
        yield (*uid_row(sop_class), what, "SCU", "none", ", ".join(names) or "nobody")


def _statuses() -> Iterator[tuple[str, str, str]]:
    for status in _STATUSES:
        verdict, reason = of_status(status)
        yield _FAMILIES.get(status, f"{status:04X}"), reason or "stored", _BEHAVIOUR[verdict]
    verdict, _ = of_status(0xFFFF)
    yield "other", "failure", _BEHAVIOUR[verdict]


def _retry(retry: RetrySettings) -> str:
    end = "without end" if retry.give_up_after_s is None else f"for {retry.give_up_after_s:g} s"
    return f"The first wait is {retry.first_s:g} s, doubled each time up to {retry.longest_s:g} s, {end}."


def _commitment(settings: Settings) -> str:
    if not uses_commitment(settings):
        return ""
    name, uid = uid_row(STORAGE_COMMITMENT)
    asked = [one for one in settings.destinations if one.storage_commitment]
    waits = ", ".join(f"{one.name} {one.commitment_timeout_s:g} s" for one in asked)
    return section(
        "#### 3.2.3.3 Storage commitment as SCU",
        f"After an object is stored, {name} ({uid}) is asked for by N-ACTION (action type 1) and the association kept "
        f"for {LINGER_S:g} s for an answer; later ones come as section 3.2.2.4 says. A result counts as delivered only "
        f"when all of it is committed. Without a report it is asked again after: {waits}.",
    )


def _destinations(settings: Settings) -> str:
    if not settings.destinations:
        return "No destination is configured: results stay in the storage root."
    rows = []
    for one in settings.destinations:
        way = "STOW-RS (PS3.18 10.5)" if one.stow_url else f"C-STORE to {one.ae_title}, port {one.port}"
        calling = one.calling_ae_title or settings.association.ae_title
        tls = ("TLS" if one.tls.ca_file is None else "TLS, peers checked by our CA") if one.tls else "none"
        rows.append((one.name, way, calling, tls, f"{one.timeout_s:g} s", "yes" if one.storage_commitment else "no"))
    return table(("Destination", "Way", "Calling AE title", "Security", "Timeout", "Storage commitment"), rows)
