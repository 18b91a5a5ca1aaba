"""Patients on the model's grid, small and simple: an ellipsoid with bright spheres in it."""

import json
from pathlib import Path

import numpy as np


def write_patient(folder: Path, seed: int, *, slices: int = 24, site: str = "A", absent: tuple[int, ...] = ()) -> Path:
    """Write NAME/{stack,mask,brain}.npy and meta.json under `folder`; `absent` are channels without a sequence."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(np.arange(slices) - slices / 2, np.arange(256) - 128, np.arange(256) - 128, indexing="ij")
    brain = (y / 90) ** 2 + (x / 70) ** 2 + (z / slices) ** 2 < 1
    mask = np.zeros(brain.shape, dtype=bool)
    for _ in range(3):
        cz, cy, cx = rng.normal(0, 1, 3) * [slices / 6, 30, 25]
        mask |= (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < rng.uniform(2, 8) ** 2
    mask &= brain
    stack = np.stack([brain * 100.0 * (c + 1) + mask * (60.0 * (c + 1)) for c in range(4)])
    stack *= 1 + 0.08 * rng.standard_normal(stack.shape)
    for channel in absent:
        stack[channel] = 0
    target = folder / f"{seed:04d}"
    target.mkdir(parents=True)
    np.save(target / "stack.npy", stack.astype(np.float16))
    np.save(target / "mask.npy", mask.astype(np.uint8))
    np.save(target / "brain.npy", brain.astype(np.uint8))
    (target / "meta.json").write_text(json.dumps({"site": site}))
    return target
