"""What a PACS's answer means for us: stored, try again, or a person must act; with a text that says what to do.

c_store.py, stow.py and echo.py call it. Pure. Statuses: PS3.4 Table B.2-1 and PS3.7 Annex C; rejections: PS3.8
Table 9-21.
"""

from dicom_node.delivery.report import Verdict

_EXACT: dict[int, tuple[Verdict, str]] = {
    0x0000: (Verdict.SENT, ""),
    0xB000: (Verdict.SENT, "stored, but the destination changed some elements (B000)"),
    0xB006: (Verdict.SENT, "stored, but the destination dropped some elements (B006)"),
    0xB007: (Verdict.SENT, "stored, although the destination says that the object does not match its class (B007)"),
    0x0110: (Verdict.RETRY, "the destination failed while it stored the object (0110)"),
    0x0111: (Verdict.SENT, "the destination had the object already (0111)"),
    0x0117: (Verdict.REFUSED, "the destination does not take our instance UID (0117); tell its vendor"),
    0x0122: (
        Verdict.REFUSED,
        "the destination does not support this kind of object (0122): enable it there, or take the product out of the "
        "destination's `products`",
    ),
    0x0124: (
        Verdict.REFUSED,
        "the destination does not allow us to store (0124): let its administrator permit our AE title",
    ),
    0x0211: (
        Verdict.REFUSED,
        "the destination does not know C-STORE (0211): it is perhaps a worklist or query node; check address and port",
    ),
    0x0213: (Verdict.RETRY, "the destination lacks resources (0213); it is perhaps full"),
}

_GROUPS: tuple[tuple[int, int, Verdict, str], ...] = (
    (0xA700, 0xA7FF, Verdict.RETRY, "the destination is out of resources ({code}): its disk is perhaps full"),
    (
        0xA900,
        0xA9FF,
        Verdict.REFUSED,
        "the destination says that the object does not match its class ({code}): see its log, then `quartet lint` the "
        "file",
    ),
    (
        0xB000,
        0xBFFF,
        Verdict.SENT,
        "stored with a warning of the destination ({code})",
    ),
    (
        0xC000,
        0xCFFF,
        Verdict.REFUSED,
        "the destination cannot understand the object ({code}): see its log; it perhaps lacks support for this kind, "
        "or does not know the study",
    ),
)


def of_status(status: int) -> tuple[Verdict, str]:
    """Verdict and reason for a C-STORE status. A status of no known group is refused: repeating it helps no one."""
    if status in _EXACT:
        return _EXACT[status]
    code = f"{status:04X}"
    for first, last, verdict, text in _GROUPS:
        if first <= status <= last:
            return verdict, text.format(code=code)
    return Verdict.REFUSED, f"the destination answered with failure status {code}: see its log"


_REJECTIONS: dict[tuple[int, int], str] = {
    (1, 1): "it gave no reason; see its log",
    (1, 2): "it does not take our application context; it is perhaps no DICOM storage node",
    (1, 3): "it does not know us: enter our calling AE title and address there, or set `calling_ae_title`",
    (1, 7): "it is not called so: correct `ae_title` of the destination, letter by letter",
    (2, 1): "its association layer gave no reason; see its log",
    (2, 2): "it speaks another version of the DICOM upper layer protocol",
    (3, 1): "it is busy just now",
    (3, 2): "it has reached its limit of associations",
}


def of_rejection(result: int, source: int, diagnostic: int) -> tuple[Verdict, str]:
    """Verdict and reason for an A-ASSOCIATE-RJ. Result 2 is transient by its own word, 1 permanent (PS3.8 9.3.4)."""
    detail = _REJECTIONS.get((source, diagnostic), f"source {source}, reason {diagnostic}")
    if result == 2:
        return Verdict.RETRY, f"the destination rejected the association for now: {detail}"
    return Verdict.REFUSED, f"the destination rejected the association: {detail}"


_HTTP: dict[int, tuple[Verdict, str]] = {
    401: (Verdict.REFUSED, "the DICOMweb server wants a login (401): put user and password into `stow_url`"),
    403: (Verdict.REFUSED, "the DICOMweb server does not allow us to store (403): let its administrator permit it"),
    404: (Verdict.REFUSED, "the DICOMweb server knows no such path (404): correct `stow_url`"),
    405: (Verdict.REFUSED, "the DICOMweb server takes no STOW-RS there (405): correct `stow_url`"),
    408: (Verdict.RETRY, "the DICOMweb server waited too long for our request (408)"),
    409: (Verdict.REFUSED, "the DICOMweb server refuses the objects (409) and does not say why: see its log"),
    413: (Verdict.REFUSED, "the objects are too large for the DICOMweb server or a proxy before it (413)"),
    429: (Verdict.RETRY, "the DICOMweb server is busy (429)"),
}


def of_http(status: int) -> tuple[Verdict, str]:
    """Verdict and reason for an HTTP status of STOW-RS (PS3.18 Table 10.5.3-1)."""
    if status in _HTTP:
        return _HTTP[status]
    if 200 <= status < 300:
        return Verdict.SENT, ""
    if 300 <= status < 400:
        return Verdict.REFUSED, f"the DICOMweb server sends us elsewhere ({status}): put that address into `stow_url`"
    if status >= 500:
        return Verdict.RETRY, f"the DICOMweb server failed ({status})"
    return Verdict.REFUSED, f"the DICOMweb server refuses the request ({status}): see its log"
