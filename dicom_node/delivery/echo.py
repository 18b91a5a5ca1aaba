"""The doctor for destinations: is the name known, does it listen, speak TLS, know us, take our objects, answer.

`quartet echo NAME` calls it. Each step says in plain words what is wrong and what to change. It stores
nothing (C-ECHO: PS3.4 Annex A).
"""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_node.delivery.connection import Link, NoAssociation, connect
from dicom_node.delivery.destinations import STORAGE_COMMITMENT, classes_of, remedy
from dicom_node.delivery.report import Verdict
from dicom_node.delivery.responses import of_http
from dicom_node.delivery.stow import cause_of, http_client, studies_url
from dicom_node.delivery.transport import CONNECT_S, OwnTlsFault, of_network_fault, open_socket
from dicom_node.settings import DestinationSettings

_VERIFICATION = "1.2.840.10008.1.1"


@dataclass(frozen=True, kw_only=True, slots=True)
class EchoStep:
    """One thing that was tried."""

    name: str
    ok: bool
    text: str
    """What was found; where not `ok`, what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EchoReport:
    """What the doctor found, in the order tried. The steps after the first fault were not tried."""

    destination: str
    steps: tuple[EchoStep, ...]

    @property
    def ok(self) -> bool:
        """Results can be delivered there."""
        return all(step.ok for step in self.steps)


def echo(destination: DestinationSettings, own_ae_title: str) -> EchoReport:
    """Examine a destination. Never raises for what the network or the peer does."""
    steps = _dicomweb(destination) if destination.stow_url is not None else _dicom(destination, own_ae_title)
    found: list[EchoStep] = []
    for step in steps:
        found.append(step)
        if not step.ok and step.name in _FATAL:
            break
    return EchoReport(destination=destination.name, steps=tuple(found))


_FATAL = ("name", "connection", "TLS", "association")


def _dicom(destination: DestinationSettings, own_ae_title: str) -> Iterator[EchoStep]:
    yield _resolve(destination)
    yield _connect(destination.model_copy(update={"tls": None}))
    if destination.tls is not None:
        yield _handshake(destination)
    classes = classes_of(destination.products)
    asked = [_VERIFICATION, *classes, *([STORAGE_COMMITMENT] if destination.storage_commitment else [])]
    calling = destination.calling_ae_title or own_ae_title
    try:
        with connect(destination, [build_context(c) for c in asked], own_ae_title=own_ae_title) as link:
            yield _ok("association", f"{destination.ae_title} accepts {calling}")
            accepted = {str(context.abstract_syntax) for context in link.association.accepted_contexts}
            for sop_class in [*classes, *asked[1 + len(classes) :]]:
                yield _offered(sop_class, sop_class in accepted)
            if _VERIFICATION in accepted:
                yield _echo(link)
    except NoAssociation as error:
        yield _fault("association", f"{error.reason}{_tls_hint(destination, error)}")


def _resolve(destination: DestinationSettings) -> EchoStep:
    try:
        found = socket.getaddrinfo(destination.host, destination.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return _fault("name", of_network_fault(error, destination)[1])
    return _ok("name", f"{destination.host} is {found[0][4][0]}")


def _connect(destination: DestinationSettings) -> EchoStep:
    try:
        open_socket(destination, (destination.host, destination.port)).close()
    except OSError as error:
        return _fault("connection", of_network_fault(error, destination)[1])
    return _ok("connection", f"port {destination.port} listens")


def _handshake(destination: DestinationSettings) -> EchoStep:
    try:
        connection = open_socket(destination, (destination.host, destination.port))
    except OSError as error:
        return _fault("TLS", of_network_fault(error, destination)[1])
    with connection:
        version = connection.version() if isinstance(connection, ssl.SSLSocket) else None
    return _ok("TLS", f"{version}, its certificate is good")


def _offered(sop_class: str, accepted: bool) -> EchoStep:
    name = UID(sop_class).name
    if accepted:
        return _ok(name, "accepted")
    return _fault(name, f"refused: {remedy(sop_class)}")


def _echo(link: Link) -> EchoStep:
    association: Association = link.association
    try:
        answer = association.send_c_echo()
    except RuntimeError:
        return _fault("echo", "the destination ended the association before C-ECHO")
    if "Status" not in answer:
        return _fault("echo", "the destination accepts us but does not answer C-ECHO: see its log")
    status = int(answer.Status)
    return _ok("echo", "answered") if status == 0 else _fault("echo", f"answered with status {status:04X}")


def _tls_hint(destination: DestinationSettings, error: NoAssociation) -> str:
    """A sure word on TLS where an association broke off without one."""
    if destination.tls is None and error.verdict is Verdict.RETRY and _speaks_tls(destination):
        return ". It does speak TLS: add [destinations.tls] to the settings"
    return ""


def _speaks_tls(destination: DestinationSettings) -> bool:
    """Whether the port answers a TLS hello. Trusts nothing and sends nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    wait_s = min(CONNECT_S, destination.timeout_s)
    try:
        with (
            socket.create_connection((destination.host, destination.port), timeout=wait_s) as connection,
            context.wrap_socket(connection),
        ):
            return True
    except OSError:
        return False


def _dicomweb(destination: DestinationSettings) -> Iterator[EchoStep]:
    try:
        with http_client(destination) as client:
            answer = client.get(studies_url(destination), params={"limit": 1}, headers={"Accept": "application/json"})
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        yield _fault("connection", "`stow_url` of the destination is no http or https address")
        return
    except httpx.HTTPError as error:
        yield _fault("connection", f"the DICOMweb server cannot be reached: {cause_of(error)}")
        return
    except OwnTlsFault as error:
        yield _fault("TLS", str(error))
        return
    verdict, reason = of_http(answer.status_code)
    if verdict is Verdict.SENT or answer.status_code in (400, 405, 501):
        yield _ok("connection", f"the DICOMweb server answers ({answer.status_code})")
    else:
        yield _fault("connection", reason)


def _ok(name: str, text: str) -> EchoStep:
    return EchoStep(name=name, ok=True, text=text)


def _fault(name: str, text: str) -> EchoStep:
    return EchoStep(name=name, ok=False, text=text)
