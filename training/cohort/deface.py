"""What defacing leaves of a head: everything but the face before and below the brain."""

import numpy as np

from training.cohort.fields import Float32
from training.cohort.scene import Scene
from training.cohort.tissues import BRAIN


def face_mask(scene: Scene, rng: np.random.Generator) -> Float32:
    """(Z, Y, X) 1 what stays, 0 the face: all in front of a slanted plane that clears the brain."""
    brain = np.argwhere(np.isin(scene.tissue[::4, ::4, ::4], BRAIN)) * 4
    z, y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in scene.tissue.shape), indexing="ij", sparse=True)
    slope = np.float32(rng.uniform(0.5, 0.9))
    clearance = (brain[:, 1] + slope * brain[:, 0]).min() - rng.uniform(8, 16)
    face = (y + slope * z < np.float32(clearance)) & (x > -1)
    out: Float32 = (~face).astype(np.float32)
    return out
