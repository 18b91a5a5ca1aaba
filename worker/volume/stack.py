"""The input of the model: four slots on one grid, absent ones exactly zero (paper, Fig. 4; model/channels.py).

Called by the pipeline. Normalisation is not done here: model/normalise.py does it, for training and serving alike.
"""

from collections.abc import Mapping

import numpy as np

from dicom_node.contract.slots import SequenceSlot
from worker.volume.geometry import Float32, Volume


def stack(inputs: Mapping[SequenceSlot, Volume]) -> tuple[Float32, tuple[bool, ...]]:
    """(4, Z, 256, 256) float32 in the order of `SequenceSlot`, and which slots are there. Absent slots are exact zeros.

    Raises ValueError where no slot is there or the volumes do not lie on one grid: the pipeline's own mistake.
    """
    if not inputs:
        raise ValueError("no slot is filled")
    grids = [volume.grid for volume in inputs.values()]
    if not all(grid.same_as(grids[0]) for grid in grids):
        raise ValueError("the slots lie on different grids")
    stacked = np.zeros((len(SequenceSlot), *grids[0].shape_zyx), dtype=np.float32)
    for channel, slot in enumerate(SequenceSlot):
        if slot in inputs:
            stacked[channel] = inputs[slot].voxels
    return stacked, tuple(slot in inputs for slot in SequenceSlot)
