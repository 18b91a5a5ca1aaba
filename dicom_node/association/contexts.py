"""Which presentation contexts the node accepts (PS3.4 B.5, PS3.8 7.1.1.13).

MR images in and nothing else: our own SEG and SR sent back by auto-routing find no context, so no loop can start.
Deflated syntaxes are not taken (a bomb inflates beyond any bound), nor Big Endian (retired).
"""

from functools import cache

from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    RLELossless,
)
from pynetdicom.presentation import PresentationContext

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model: a PACS reports on an association that it opens to us (PS3.4 J.3.3)."""
STORAGE = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)

UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
COMPRESSED = (JPEGLosslessSV1, JPEGLossless, JPEGLSLossless, JPEG2000Lossless, RLELossless)
TRANSFER_SYNTAXES = (*UNCOMPRESSED, *COMPRESSED)
"""In the order in which we choose among those that a sender proposes for one context."""


@cache
def supported(commitment: bool) -> tuple[PresentationContext, ...]:
    """The contexts to negotiate with; with storage commitment where a destination uses it."""
    contexts = [_context(uid, TRANSFER_SYNTAXES) for uid in STORAGE] + [_context(VERIFICATION, UNCOMPRESSED)]
    if commitment:
        report = _context(STORAGE_COMMITMENT, UNCOMPRESSED)
        report.scu_role, report.scp_role = True, True
        contexts.append(report)
    return tuple(contexts)


def _context(abstract_syntax: str, transfer_syntaxes: tuple[str, ...]) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = abstract_syntax
    context.transfer_syntax = list(transfer_syntaxes)
    return context
