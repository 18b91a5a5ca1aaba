"""A probability map with its truth, in tests of metrics."""

import numpy as np


def noisy_patient(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability, truth and measured voxels of a noisy made-up patient with separate lesions."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((20, 40, 40), dtype=bool)
    for z, y, x, r in ((5, 10, 10, 3), (12, 30, 12, 2), (15, 20, 30, 4)):
        zz, yy, xx = np.ogrid[:20, :40, :40]
        truth |= (zz - z) ** 2 + (yy - y) ** 2 + (xx - x) ** 2 <= r * r
    probability = np.clip(0.65 * truth + rng.normal(0.2, 0.12, truth.shape), 0, 0.9999).astype(np.float32)
    inside = np.ones_like(truth)
    inside[:, :2] = False
    return probability, truth, inside
