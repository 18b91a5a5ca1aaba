"""The form of one lesion as soft memberships on a small box of voxels.

Called by lesions.py. Distances are signed, mm, negative inside; a border is one voxel wide and linear (partial volume).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.cohort.fields import Float32, smooth_field

Box = tuple[slice, slice, slice]
_BORDER_MM = 1.0


@dataclass(frozen=True, kw_only=True)
class Form:
    """What is drawn of a lesion before its voxels."""

    radius_mm: float
    irregularity: float
    """Amplitude of the border's noise over the radius: .05 smooth, .3 a glioma."""
    lobes: int = 1
    rim_mm: float = 0.0
    """Thickness of the enhancing rim; 0: solid."""
    rim_uneven: float = 0.4
    """Standard deviation of the logarithm of that thickness; from about 1 the rim is open in places."""
    elongation: float = 0.12


def box_around(shape: tuple[int, int, int], centre_zyx: NDArray[np.float64], half_zyx: NDArray[np.float64]) -> Box:
    """The voxels within a half-width of a centre, inside the grid."""
    low = np.maximum(np.floor(centre_zyx - half_zyx), 0).astype(int)
    high = np.minimum(np.ceil(centre_zyx + half_zyx) + 1, shape).astype(int)
    z, y, x = (slice(int(a), int(max(b, a + 1))) for a, b in zip(low, high, strict=True))
    return z, y, x


def body_distance(
    rng: np.random.Generator,
    form: Form,
    box: Box,
    centre_zyx: NDArray[np.float64],
    spacing_zyx: tuple[float, float, float],
) -> Float32:
    """Signed distance to the lesion's border, mm, on the box: a union of bent ellipsoids with a noisy border."""
    axes = [(np.arange(s.start, s.stop) - c) * mm for s, c, mm in zip(box, centre_zyx, spacing_zyx, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).astype(np.float32)
    out: Float32 = np.full([len(axis) for axis in axes], np.inf, dtype=np.float32)
    for lobe in range(form.lobes):
        turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        stretch = np.exp(rng.normal(0, form.elongation, 3))
        stretch /= np.prod(stretch) ** (1 / 3)
        radius = form.radius_mm * (1.0 if form.lobes == 1 else rng.uniform(0.5, 0.8))
        offset = (
            np.zeros(3) if form.lobes == 1 or lobe == 0 else _direction(rng) * form.radius_mm * rng.uniform(0.3, 0.65)
        )
        local = (points - offset.astype(np.float32)) @ (turn / stretch).astype(np.float32)
        distance = (np.linalg.norm(local, axis=-1) - np.float32(radius)).astype(np.float32)
        out = np.minimum(out, distance)
    shape = (out.shape[0], out.shape[1], out.shape[2])
    for scale, weight in ((0.9, 0.8), (0.4, 0.35)):
        length = max(form.radius_mm * scale, 1.2)
        out += np.float32(form.irregularity * form.radius_mm * weight) * smooth_field(rng, shape, spacing_zyx, length)
    return out


def membership(distance_mm: Float32, border_mm: float = _BORDER_MM) -> Float32:
    """1 inside, 0 outside, linear across the border."""
    out: Float32 = np.clip(0.5 - distance_mm / np.float32(border_mm), 0, 1)
    return out


def core_membership(
    rng: np.random.Generator, form: Form, distance_mm: Float32, spacing_zyx: tuple[float, float, float]
) -> Float32:
    """The necrotic core: deeper than a rim of uneven thickness; zeros for a solid lesion."""
    if form.rim_mm <= 0:
        return np.zeros_like(distance_mm)
    shape = (distance_mm.shape[0], distance_mm.shape[1], distance_mm.shape[2])
    uneven = smooth_field(rng, shape, spacing_zyx, max(form.radius_mm * 0.5, 2.0))
    thickness = np.float32(form.rim_mm) * np.exp(np.float32(form.rim_uneven) * uneven)
    return membership((distance_mm + thickness).astype(np.float32), 1.5)


def _direction(rng: np.random.Generator) -> NDArray[np.float64]:
    vector = rng.standard_normal(3)
    out: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return out
