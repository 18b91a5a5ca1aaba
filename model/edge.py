"""The five slices about a slice, and what stands in for those beyond the volume: the paper leaves that open.

Called by worker/inference/windows and training/sampling, so that both cut alike. Knows arrays only.
"""

from enum import StrEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model.channels import SLICES

T = TypeVar("T", bound=np.generic)


class EdgeRule(StrEnum):
    """What the network reads in place of slices that the volume does not have."""

    ZEROS = "zeros"
    """Zeros: "nothing known", as for a sequence that is absent."""
    REPEAT = "repeat"
    """The volume's outermost slice again."""


def five_slices(volume: NDArray[T], centre: int, rule: EdgeRule) -> NDArray[T]:
    """(..., Z, Y, X) and an index along Z -> a copy (..., 5, Y, X): the slices centre - 2 to centre + 2."""
    wanted = np.arange(centre - SLICES // 2, centre + SLICES // 2 + 1)
    count = volume.shape[-3]
    taken = volume[..., np.clip(wanted, 0, count - 1), :, :]
    if rule is EdgeRule.ZEROS:
        taken[..., (wanted < 0) | (wanted >= count), :, :] = 0
    return taken
