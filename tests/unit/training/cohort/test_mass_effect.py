"""A large lesion makes room for itself without moving the skull."""

import numpy as np

from training.cohort.mass_effect import push
from training.cohort.tissues import Tissue


def test_a_lesion_moves_a_ventricle_away_and_leaves_bone() -> None:
    """A wall of fluid 10 mm off lies further off after; voxels beyond the reach and the bone are as before."""
    tissue = np.full((80, 80, 80), Tissue.WHITE, dtype=np.uint8)
    tissue[:, :, 50:54] = Tissue.VENTRICLE
    tissue[:, :, 20:24] = Tissue.BONE
    before = tissue.copy()
    push(tissue, np.array([40.0, 40.0, 40.0]), 8.0, 0.6, (1.0, 1.0, 1.0))
    wall = np.flatnonzero(tissue[40, 40] == Tissue.VENTRICLE)
    assert wall.min() >= 50
    assert wall.mean() > 51.5
    assert np.array_equal(tissue == Tissue.BONE, before == Tissue.BONE)
    assert np.array_equal(tissue[:10], before[:10])
