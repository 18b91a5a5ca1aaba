"""Synthetic heads in several contrasts, made in code: for tests of volumes, registration and gates, where no data is.

    head = synthetic_head("BRAVO", seed=3)                       # 2 mm voxels, LPS, axial
    moved = synthetic_head("FLAIR", seed=3, moved=rigid(...))    # the same patient, elsewhere in the scanner

The anatomy depends on the seed only, the contrast on the name; `rigid` takes LPS mm of the unmoved to the moved head.
"""

from pathlib import Path

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from worker.volume.geometry import Float32, Float64, Grid, Volume

AIR, SCALP, BONE, CSF, GREY, WHITE, VENTRICLE, EYE = range(8)
CONTRASTS = {
    "BRAVO": (0.01, 0.9, 0.06, 0.17, 0.61, 1.0, 0.15, 0.2),
    "PRE_CUBE": (0.01, 1.2, 0.08, 0.44, 0.85, 1.0, 0.42, 0.45),
    "POST_CUBE": (0.01, 1.25, 0.10, 0.47, 0.88, 1.0, 0.45, 0.45),
    "FLAIR": (0.01, 0.7, 0.05, 0.22, 0.99, 0.9, 0.25, 0.3),
}
"""Signal by tissue, relative to white matter (facts of signal physics; scalp and eye by eye)."""
_PARTS_OF_FREESURFER = {
    WHITE: (2, 41, 7, 46, 16, 28, 60, 85, 251, 252, 253, 254, 255),
    GREY: (3, 42, 8, 47, 10, 11, 12, 13, 17, 18, 26, 49, 50, 51, 52, 53, 54, 58),
    VENTRICLE: (4, 5, 14, 15, 43, 44, 72),
    CSF: (24, 30, 62, 136, 137, 163, 164),
}


def axial_grid(shape_zyx: tuple[int, int, int], spacing_mm_zyx: tuple[float, float, float]) -> Grid:
    """An axial grid centred on the origin."""
    affine = np.diag([*reversed(spacing_mm_zyx), 1.0])
    affine[:3, 3] = [-(n - 1) * s / 2 for n, s in zip(reversed(shape_zyx), reversed(spacing_mm_zyx), strict=True)]
    return Grid(shape_zyx=shape_zyx, affine=affine)


GRID = axial_grid((100, 112, 96), (2.0, 2.0, 2.0))


def rigid(
    translation_mm: tuple[float, float, float] = (0, 0, 0), rotation_degrees: tuple[float, float, float] = (0, 0, 0)
) -> Float64:
    """(4, 4): turns about x, then y, then z through the origin, then shifts; LPS mm."""
    turned = np.eye(3)
    for axis, angle in enumerate(np.radians(rotation_degrees)):
        i, j = [k for k in range(3) if k != axis]
        one = np.eye(3)
        one[i, i] = one[j, j] = np.cos(angle)
        one[i, j], one[j, i] = -np.sin(angle), np.sin(angle)
        turned = one @ turned
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turned, translation_mm
    return matrix


def synthetic_head(
    contrast: str = "BRAVO",
    *,
    seed: int = 0,
    grid: Grid = GRID,
    moved: Float64 | None = None,
    skull: bool = True,
    noise: float = 0.02,
) -> Volume:
    """A head of simple shapes with a folded cortex, sampled on `grid`; 1000 is white matter."""
    points = grid.to_mm(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape_zyx], indexing="ij"), axis=-1))
    back = np.linalg.inv(np.eye(4) if moved is None else moved)
    points = points @ back[:3, :3].T + back[:3, 3]
    tissue = _tissue(points, seed)
    return painted(tissue, contrast, grid, seed=seed, skull=skull, noise=noise)


def painted(
    tissue: NDArray[np.int64], contrast: str, grid: Grid, *, seed: int = 0, skull: bool = True, noise: float = 0.02
) -> Volume:
    """(Z, Y, X) tissue numbers as an image: signal, a smooth bias field, a little blur, Rician noise."""
    if not skull:
        tissue = np.where(np.isin(tissue, (SCALP, BONE, EYE)), AIR, tissue)
    signal = np.array(CONTRASTS[contrast])[tissue] * 1000
    rng = np.random.default_rng([seed, *contrast.encode()])
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in tissue.shape], indexing="ij")
    bias = 1 + 0.15 * sum(c * a for c, a in zip(rng.uniform(-1, 1, 3), (z, y, x), strict=True))
    signal = ndi.gaussian_filter(signal * bias, 0.4)
    sigma = noise * 1000
    noisy = np.hypot(signal + rng.normal(0, sigma, signal.shape), rng.normal(0, sigma, signal.shape))
    if not skull:
        noisy = np.where(tissue == AIR, 0, noisy)
    return Volume(voxels=noisy.astype(np.float32), grid=grid)


def anatomy_tissue(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """FreeSurfer-like labels of a whole head (5xx outside the brain) -> tissue numbers."""
    table = np.full(1024, AIR)
    table[500:600] = SCALP
    table[[514, 515]] = BONE
    for tissue, parts in _PARTS_OF_FREESURFER.items():
        table[list(parts)] = tissue
    return table[labels]


def shared_data(*parts: str) -> Path | None:
    """A path of the team's shared data beside the repository, or None where it is absent."""
    for folder in Path(__file__).resolve().parents:
        found = folder.joinpath("shared", "data", *parts)
        if found.exists():
            return found
    return None


def _tissue(points: Float64, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    size = rng.uniform(0.94, 1.06, 3)
    x, y, z = np.moveaxis(points / size, -1, 0)
    lean = 1 + 0.06 * np.sin(y / 40 + rng.uniform(0, 6)) + 0.04 * np.sin(z / 35 + rng.uniform(0, 6))
    radius = np.sqrt((x / 66) ** 2 + (y / 84) ** 2 + ((z - 15) / 62) ** 2) * lean
    folds = _folds(points, rng)
    tissue = np.full(x.shape, AIR)
    neck = (z < 0) & (np.hypot(x / 55, (y - 12) / 62) < 1)
    face = (z < 10) & (z > -70) & (y < -30) & (np.hypot(x / 52, (y + 42) / 48) < 1)
    tissue[(radius < 1.19) | neck | face] = SCALP
    tissue[(radius < 1.11)] = BONE
    tissue[radius < 1.04] = CSF
    tissue[radius + 0.07 * folds < 0.98] = GREY
    tissue[radius + 0.16 * folds < 0.80] = WHITE
    midline = (np.abs(x + 2 * np.sin(y / 30)) < 1.6) & (z > 20) & (radius > 0.35)
    tissue[midline & (radius < 1.04)] = CSF
    for side in (-1, 1):
        ventricle = np.sqrt(((x - side * 12) / 7) ** 2 + ((y + 4) / 34) ** 2 + ((z - 25) / 11) ** 2)
        tissue[ventricle + 0.2 * folds < 1] = VENTRICLE
        deep = np.sqrt(((x - side * 24) / 9) ** 2 + ((y - 2) / 22) ** 2 + ((z - 15) / 14) ** 2)
        tissue[deep < 1] = GREY
        tissue[np.sqrt((x - side * 31) ** 2 + (y + 82) ** 2 + (z + 8) ** 2) < 12] = EYE
    return tissue


def _folds(points: Float64, rng: np.random.Generator) -> Float64:
    """A wavy field of about 12 mm: sulci and gyri that no two seeds share."""
    total = np.zeros(points.shape[:-1])
    for _ in range(24):
        wave = rng.normal(size=3)
        wave *= rng.uniform(0.25, 0.6) / np.linalg.norm(wave)
        total += np.sin(points @ wave + rng.uniform(0, 2 * np.pi))
    return np.clip(total / np.sqrt(12), -2, 2)


__all__ = ["CONTRASTS", "Float32", "anatomy_tissue", "axial_grid", "painted", "rigid", "shared_data", "synthetic_head"]
