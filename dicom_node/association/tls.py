"""TLS of the receiver (PS3.15 B.12: BCP 195, TLS 1.2 or newer). The handshake itself runs in lobby.py."""

import ssl

from dicom_node.errors import SettingsError
from dicom_node.settings import TlsSettings


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Raises `SettingsError` naming the file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"association.tls: {settings.certificate_file} and {settings.key_file} are no certificate with its key: "
            f"{error.strerror or 'they do not match or are not PEM'}"
        ) from error
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"association.tls: {settings.ca_file} is no CA certificate in PEM") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context
