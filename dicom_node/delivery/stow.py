"""Files to a PACS by DICOMweb STOW-RS (PS3.18 10.5), the alternative to C-STORE. send.py calls it.

Sends the bytes of each file as they are, each in a request of its own: a report never comes before what it refers to,
and each has an answer of its own. Knows nothing of results, retries or the catalog.
"""

import hashlib
import logging
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from dicom_node.delivery.outgoing import OutgoingFile
from dicom_node.delivery.report import FileReport, Verdict, one_by_one
from dicom_node.delivery.responses import of_http, of_status
from dicom_node.delivery.transport import CONNECT_S, OwnTlsFault, tls_context
from dicom_node.settings import DestinationSettings

logging.getLogger("httpx").setLevel(logging.WARNING)
"""Below that it logs each address, and `stow_url` may hold a password."""

_CHUNK_BYTES = 1 << 20
_REFERENCED, _FAILED = "00081199", "00081198"
_SOP_INSTANCE, _FAILURE_REASON, _WARNING_REASON = "00081155", "00081197", "00081196"


def send_by_stow(
    destination: DestinationSettings, files: Sequence[OutgoingFile], *, together: bool
) -> tuple[FileReport, ...]:
    """Store the files in the order given. One report a file; never raises.

    With `together` nothing is sent after the first that was not stored.
    """
    try:
        with http_client(destination) as client:
            return one_by_one(files, lambda file: _post(client, destination, file), together=together)
    except OwnTlsFault as error:
        return tuple(_report(file, Verdict.RETRY, str(error)) for file in files)


def http_client(destination: DestinationSettings) -> httpx.Client:
    """A client with the destination's TLS and timeouts. Follows no redirect: a result goes where the settings say.

    Raises `OwnTlsFault`.
    """
    verify = tls_context(destination.tls) if destination.tls is not None else ssl.create_default_context()
    timeout = httpx.Timeout(destination.timeout_s, connect=min(CONNECT_S, destination.timeout_s))
    return httpx.Client(verify=verify, timeout=timeout, trust_env=False)


def studies_url(destination: DestinationSettings) -> str:
    """The resource that STOW-RS posts to. Raises ValueError where the destination has no `stow_url`."""
    if destination.stow_url is None:
        raise ValueError("the destination has no stow_url")
    base = destination.stow_url.rstrip("/")
    return base if base.endswith("/studies") else f"{base}/studies"


def _post(client: httpx.Client, destination: DestinationSettings, file: OutgoingFile) -> FileReport:
    boundary = hashlib.sha256(file.sop_instance_uid.encode()).hexdigest()
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
        "Content-Length": str(len(head) + file.size_bytes + len(tail)),
    }
    try:
        answer = client.post(studies_url(destination), headers=headers, content=_body(file, head, tail))
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return _report(file, Verdict.REFUSED, "`stow_url` of the destination is no http or https address")
    except httpx.TimeoutException:
        return _report(file, Verdict.RETRY, f"the DICOMweb server gave no answer within {destination.timeout_s:.0f} s")
    except httpx.HTTPError as error:
        return _report(file, Verdict.RETRY, f"the DICOMweb server cannot be reached: {cause_of(error)}")
    except OSError as error:
        return _report(file, Verdict.RETRY, f"our file cannot be read: {error.strerror or type(error).__name__}")
    return _judge(file, answer)


def _body(file: OutgoingFile, head: bytes, tail: bytes) -> Iterator[bytes]:
    """The file as the one part of a multipart body (RFC 2046 5.1)."""
    yield head
    with file.path.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk
    yield tail


def _judge(file: OutgoingFile, answer: httpx.Response) -> FileReport:
    """The fate of one instance: what the response says of it, else what its HTTP status says of all."""
    said = _json(answer)
    for item in _items(said, _FAILED):
        if _value(item, _SOP_INSTANCE) == file.sop_instance_uid:
            status = _number(item, _FAILURE_REASON, default=0x0110)
            verdict, reason = of_status(status)
            if verdict is Verdict.SENT and status != 0x0111:
                verdict, reason = Verdict.REFUSED, f"the destination lists the object as failed ({status:04X})"
            return FileReport(path=file.path, verdict=verdict, status=status, reason=reason)
    for item in _items(said, _REFERENCED):
        if _value(item, _SOP_INSTANCE) == file.sop_instance_uid:
            warning = _number(item, _WARNING_REASON, default=0)
            return FileReport(path=file.path, verdict=Verdict.SENT, status=warning, reason=of_status(warning)[1])
    verdict, reason = of_http(answer.status_code)
    if verdict is Verdict.SENT and said and _items(said, _REFERENCED):
        verdict, reason = Verdict.RETRY, "the DICOMweb server's answer does not mention the object"
    return FileReport(path=file.path, verdict=verdict, reason=reason)


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    """The response module (PS3.18 I.2) or nothing where the server sent no DICOM JSON."""
    try:
        said = answer.json()
    except ValueError:
        return {}
    if isinstance(said, list):
        said = said[0] if said else {}
    return said if isinstance(said, dict) else {}


def _items(said: Mapping[str, Any], tag: str) -> list[Mapping[str, Any]]:
    element = said.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return [item for item in values if isinstance(item, dict)] if isinstance(values, list) else []


def _value(item: Mapping[str, Any], tag: str) -> object:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _number(item: Mapping[str, Any], tag: str, *, default: int) -> int:
    value = _value(item, tag)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _report(file: OutgoingFile, verdict: Verdict, reason: str) -> FileReport:
    return FileReport(path=file.path, verdict=verdict, reason=reason)


def cause_of(error: httpx.HTTPError) -> str:
    """Why no answer came, in plain words and without the address: it may hold a password."""
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its TLS certificate is not accepted; check `ca_file` and the name in `stow_url`"
    if "SSL" in text:
        return "no TLS connection; it perhaps expects http:// in `stow_url`, or wants another certificate of ours"
    if "refused" in text:
        return "nothing listens there"
    if "not known" in text or "resolution" in text:
        return "the name is not known to the name service"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError):
        return "it broke off; where it does so always, it perhaps expects https://, or the port in `stow_url` is wrong"
    return f"{type(error).__name__}; check `stow_url` and the firewall"
