"""What a registration gives: how one series lies relative to the reference.

Made by register, judged by trust, used by the pipeline and written into results.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from worker.volume.geometry import Float64


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """How a series lies relative to the reference."""

    transform: Float64
    """(4, 4) rigid: LPS mm of the fixed (reference) -> LPS mm of the moving series."""
    quality: Mapping[str, float]
    """Figures of the registration by name, with the unit in it."""
    seconds: float
