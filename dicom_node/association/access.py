"""Who may open an association (PS3.8 9.3.4). Pure: the request, the settings and the state of the house come in.

AE titles can be forged, so a peer may be bound to addresses, and TLS with a CA binds it to a certificate.
"""

import ipaddress
from collections.abc import Iterable

from dicom_node.association.negotiation import APPLICATION_CONTEXT, AssociationRequest, Rejection
from dicom_node.errors import SettingsError
from dicom_node.settings import AssociationSettings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CALLED_UNKNOWN = Rejection(result=1, source=1, reason=7, text="called AE title not recognised")
CALLING_UNKNOWN = Rejection(result=1, source=1, reason=3, text="calling AE title not recognised, or not from there")
CONTEXT_UNKNOWN = Rejection(result=1, source=1, reason=2, text="application context not supported")
CONGESTED = Rejection(result=2, source=3, reason=1, text="temporarily congested: the storage is down to its reserve")
LIMIT_REACHED = Rejection(result=2, source=3, reason=2, text="local limit of associations reached")


class Gate:
    """The settings of access, read once."""

    def __init__(self, settings: AssociationSettings) -> None:
        """Raises `SettingsError` for an address that is none."""
        self._called = settings.ae_title.strip()
        self._any_peer = settings.any_peer
        self._peers = [(peer.ae_title.strip(), tuple(_networks(peer.addresses))) for peer in settings.peers]
        self._maximum = settings.maximum_associations
        self._maximum_per_address = settings.maximum_associations_per_address

    def decide(
        self, request: AssociationRequest, address: str, *, open_here: int, open_in_all: int, has_room: bool
    ) -> Rejection | None:
        """None: come in. open_here: associations that this address has open; open_in_all: those of all addresses."""
        if request.application_context != APPLICATION_CONTEXT:
            return CONTEXT_UNKNOWN
        if request.called_ae_title != self._called:
            return CALLED_UNKNOWN
        if not self._any_peer and not self._knows(request.calling_ae_title, address):
            return CALLING_UNKNOWN
        if open_in_all >= self._maximum or open_here >= self._maximum_per_address:
            return LIMIT_REACHED
        if not has_room:
            return CONGESTED
        return None

    def _knows(self, ae_title: str, address: str) -> bool:
        caller = _plain(address)
        return any(
            title == ae_title and (not networks or any(caller in network for network in networks))
            for title, networks in self._peers
        )


def _networks(addresses: Iterable[str]) -> Iterable[Network]:
    for text in addresses:
        try:
            yield ipaddress.ip_network(text, strict=False)
        except ValueError as error:
            raise SettingsError(
                f"association.peers: {text!r} is neither an IP address nor a network such as 10.1.0.0/16"
            ) from error


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address that an IPv6 socket saw is taken for what it is."""
    caller = ipaddress.ip_address(address.split("%")[0])
    mapped = getattr(caller, "ipv4_mapped", None)
    return mapped or caller
