"""What may pass as a UID (PS3.5 9.1). A UID of a peer is a value to compare, never a file name."""

import re

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


def is_uid(text: str) -> bool:
    """Digits and dots, 1 to 64 characters. Leading zeros in a component, as some scanners write them, pass."""
    return 0 < len(text) <= 64 and _UID.fullmatch(text) is not None
