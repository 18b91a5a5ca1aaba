"""UIDs that follow from what they name: the same input gives the same UID, in every process (design invariant 3).

Called wherever results or lesions need a UID. Pure. PS3.5 B.2: UIDs of the root 2.25 derive from a UUID.
"""

import hashlib
import uuid


def derive_uid(*parts: str) -> str:
    """A UID from its parts: SHA-256, as UUID version 8 (RFC 9562), as 2.25 decimal. Order and borders count."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    raw = bytearray(digest.digest()[:16])
    raw[6] = 0x80 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    return f"2.25.{uuid.UUID(bytes=bytes(raw)).int}"
