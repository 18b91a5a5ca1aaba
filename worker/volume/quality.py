"""Gates: is this a whole enough brain MR to be given to the model, or the reason why not.

Called by inputs for every series. Classical and quick. It knows shapes and textures, not anatomy: it stops
phantoms, limbs, trunks, noise and stubs, and is made to let every head pass. A phantom shaped and textured like a head
would pass too. Headers are no gate here: real brains come as BodyPartExamined TSPINE or SHOULDER, and the node's
classifier has weighed that already (dicom_node/slots/region.py).
"""

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from worker.errors import InputRefused
from worker.volume.geometry import Float32, Grid, Volume
from worker.volume.head import head_mask
from worker.volume.resample import coarser

MINIMUM_SLICES = 10
"""Fewer are a localizer or a stub; a 2D FLAIR of a head has 20 and more."""
MINIMUM_COVERAGE_MM = 70.0
"""Of the field of view along each axis: less cannot show most of a brain, which is 110 mm high and 130 mm wide."""
MINIMUM_BODY_MM, MAXIMUM_BODY_MM = 75.0, 330.0
"""Size of what stands out from the background: a child's brain, skull-stripped; a head with neck and shoulders."""
MINIMUM_BODY_ML = 350.0
MINIMUM_NEIGHBOUR_CORRELATION = 0.4
"""Between blocks of 4 mm: near 1 in any image of a body, 0 in noise."""
MAXIMUM_TOP = 0.85
"""Area of the uppermost centimetre over that of the largest one: a head closes at the top, a limb or trunk goes on."""
MINIMUM_TEXTURE = 0.045
"""Relative standard deviation of what is finer than 16 mm and coarser than 4 mm, inside: between heads of every
contrast and a uniform phantom, which tests/unit/worker/volume/test_quality.py holds apart."""
MAXIMUM_BELOW_ZERO = 0.01
"""Share of the head: a magnitude image has nothing below 0 but padding in the air, or what interpolation leaves."""
_NO_MAGNITUDE = "not a magnitude image, or its rescale intercept is wrong"
_WORKING_MM = 4.0
_RIM_MM = 10.0


def require_brain(volume: Volume) -> None:
    """Pass where the volume may be a brain, in any contrast, with or without skull. Raises InputRefused otherwise."""
    _require_signal(volume)
    _require_coverage(volume.grid)
    small = _coarse_magnitude(volume)
    if _neighbour_correlation(small.voxels) < MINIMUM_NEIGHBOUR_CORRELATION:
        raise InputRefused("the volume is noise: neighbouring voxels have nothing to do with one another")
    mask = head_mask(small)
    _require_body(small.grid, mask)
    if _texture(small, mask) < MINIMUM_TEXTURE:
        raise InputRefused("the volume is no brain: its inside is uniform, as a phantom's")


def _require_signal(volume: Volume) -> None:
    if not np.isfinite(volume.voxels).all():
        raise InputRefused("the volume has voxels that are no numbers")
    if volume.voxels.max() == volume.voxels.min():
        raise InputRefused("all voxels of the volume have the same value")
    if volume.voxels.max() <= 0:
        raise InputRefused(f"the volume has no values above zero: {_NO_MAGNITUDE}")


def _require_coverage(grid: Grid) -> None:
    if min(grid.shape_zyx) < MINIMUM_SLICES:
        raise InputRefused(f"the volume has only {min(grid.shape_zyx)} slices, {MINIMUM_SLICES} are needed")
    extent_mm = float(np.min(np.array(grid.shape_zyx[::-1]) * grid.spacing_mm_xyz))
    if extent_mm < MINIMUM_COVERAGE_MM:
        raise InputRefused(f"the volume covers only {extent_mm:.0f} mm, a brain needs {MINIMUM_COVERAGE_MM:.0f} mm")


def _coarse_magnitude(volume: Volume) -> Volume:
    """The volume at the working spacing, with padding below zero as air. Raises where the head lies below zero."""
    small = coarser(volume, _WORKING_MM)
    if volume.voxels.min() >= 0:
        return small
    inside = _inside(small.grid, head_mask(small))
    below = float((small.voxels[inside if inside.any() else ...] < 0).mean())
    if below > MAXIMUM_BELOW_ZERO:
        raise InputRefused(f"the volume has values below zero in {below:.0%} of the head: {_NO_MAGNITUDE}")
    return coarser(Volume(voxels=np.maximum(volume.voxels, np.float32(0)), grid=volume.grid), _WORKING_MM)


def _inside(grid: Grid, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What lies deeper in the mask than its rim."""
    spacing = np.array(grid.spacing_mm_xyz[::-1])
    depth_mm = ndi.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    inside: NDArray[np.bool_] = depth_mm > _RIM_MM
    return inside


def _neighbour_correlation(voxels: Float32) -> float:
    """The smallest correlation of neighbours along the three axes."""
    pairs = [
        (np.take(voxels, range(1, n), axis=a), np.take(voxels, range(n - 1), axis=a))
        for a, n in enumerate(voxels.shape)
    ]
    return min(float(np.corrcoef(ahead.ravel(), behind.ravel())[0, 1]) for ahead, behind in pairs)


def _require_body(grid: Grid, mask: NDArray[np.bool_]) -> None:
    if not mask.any():
        raise InputRefused("the volume is no brain: nothing stands out from the background")
    places = grid.to_mm(np.argwhere(mask))
    volume_ml = float(mask.sum()) * grid.voxel_volume_mm3 / 1000
    size_mm = np.ptp(places, axis=0) + max(grid.spacing_mm_xyz)
    if volume_ml < MINIMUM_BODY_ML or size_mm.min() < MINIMUM_BODY_MM:
        raise InputRefused(
            f"the volume is no brain: what it shows is {size_mm.min():.0f} mm wide and {volume_ml:.0f} ml"
        )
    if size_mm.max() > MAXIMUM_BODY_MM:
        raise InputRefused(f"the volume is no brain: what it shows is {size_mm.max():.0f} mm long")
    top = _top(places[:, 2])
    if top > MAXIMUM_TOP:
        raise InputRefused("the volume is no brain: what it shows does not close at the top, as a limb or a trunk")


def _top(heights_mm: NDArray[np.float64]) -> float:
    """Voxels of the uppermost centimetre over those of the fullest one."""
    below_top = heights_mm.max() - heights_mm
    counts = np.bincount((below_top // 10.0).astype(int))
    return float(counts[0] / counts.max())


def _texture(small: Volume, mask: NDArray[np.bool_]) -> float:
    spacing = np.array(small.grid.spacing_mm_xyz[::-1])
    inside = _inside(small.grid, mask)
    if not inside.any():
        return 0.0
    weight = ndi.gaussian_filter(mask.astype(np.float32), 16.0 / spacing)
    smooth = ndi.gaussian_filter(np.where(mask, small.voxels, 0.0), 16.0 / spacing) / np.maximum(weight, 1e-3)
    relative = np.clip(small.voxels / np.maximum(smooth, 1e-6) - 1, -1, 1)
    shared = [_shared(np.moveaxis(relative, axis, 0), np.moveaxis(inside, axis, 0)) for axis in range(3)]
    return float(np.sqrt(max(0.0, float(np.mean(shared)))))


def _shared(relative: Float32, inside: NDArray[np.bool_]) -> float:
    """Mean product of neighbours along the first axis: noise cancels, structure stays."""
    both = inside[1:] & inside[:-1]
    return float((relative[1:][both] * relative[:-1][both]).mean()) if both.any() else 0.0
