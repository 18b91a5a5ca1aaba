"""A TCP or TLS connection to a destination that never hangs, and plain words for why one did not come about.

connection.py, stow.py and echo.py call it. It knows no DICOM message. TLS: PS3.15 Annex B (BCP 195).
"""

import socket
import ssl
from typing import Any

from dicom_node.delivery.report import Verdict
from dicom_node.settings import DestinationSettings, TlsSettings

CONNECT_S = 20.0
"""Longest wait for a TCP connection: a host that drops packets is told from a slow PACS."""


class OwnTlsFault(OSError):
    """A certificate or key of ours is missing or wrong; no peer is to blame."""


def of_network_fault(error: OSError, destination: DestinationSettings) -> tuple[Verdict, str]:
    """Verdict and reason for a connection that did not come about. Nothing here is ever permanent: networks heal."""
    where = f"{destination.host} port {destination.port}"
    match error:
        case OwnTlsFault():
            text = str(error)
        case socket.gaierror(errno=socket.EAI_AGAIN):
            text = f"no name service answers for {destination.host}: check DNS here, or give its address as `host`"
        case socket.gaierror():
            text = f"the name {destination.host} is not known to the name service: correct `host` of the destination"
        case ssl.SSLCertVerificationError():
            text = (
                f"the TLS certificate of {where} is not accepted ({error.verify_message}): check `ca_file` and `host`"
            )
        case ssl.SSLError():
            text = f"no TLS connection with {where}: it perhaps expects none, or wants another certificate of ours"
        case ConnectionRefusedError():
            text = f"{where} refuses the connection: nothing listens there; check `port`, or start the destination"
        case TimeoutError():
            text = f"{where} does not answer: it is down, or a firewall drops the connection"
        case ConnectionResetError() | BrokenPipeError():
            text = f"{where} closed the connection at once: it perhaps expects TLS, or does not allow our address"
        case _:
            text = f"{where} cannot be reached: {error.strerror or type(error).__name__}"
    return Verdict.RETRY, text


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """TLS as BCP 195 asks (PS3.15 B.9): our certificate for mTLS, the peer checked against `ca_file` or the system.

    Raises `OwnTlsFault` where one of our files cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    except OSError as error:
        cause = "they do not fit together" if isinstance(error, ssl.SSLError) else error.strerror
        names = ", ".join(str(path) for path in (tls.certificate_file, tls.key_file, tls.ca_file) if path)
        raise OwnTlsFault(f"our own TLS files cannot be used ({cause}): check {names}") from error
    return context


def open_socket(destination: DestinationSettings, address: tuple[Any, ...]) -> socket.socket:
    """A connected socket that never waits longer than the destination's timeout without progress. Raises OSError."""
    context = tls_context(destination.tls) if destination.tls is not None else None
    connection = socket.create_connection(address[:2], timeout=min(CONNECT_S, destination.timeout_s))
    try:
        connection.settimeout(destination.timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else the small PDUs of a message wait 40 ms
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(destination.timeout_s * 1000))
        if context is None:
            return connection
        return context.wrap_socket(connection, server_hostname=destination.host)
    except OSError:
        connection.close()
        raise
