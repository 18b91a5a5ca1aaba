"""Take the face out of a patient's images before they train or leave the house (paper, Methods; as pydeface does).

Called by training/prepare. A template of the head is fitted to the patient's reference (training/head_template), and
what lies in front of and below a slanted plane that clears the template's brain goes: the front of the eyes, nose,
mouth, chin, and the neck with them; ears stay. Where the fit is not plausible the patient is refused. A brain without
its skull has no face. Knows no files.
"""

from typing import Final

import numpy as np
import scipy.ndimage as ndi

from training.cases.case import CaseError
from training.head_template import HeadTemplate, fit, head_template, overlap, overturned_match
from training.scores import Float32, Mask
from worker.errors import NoOverlap
from worker.volume.geometry import Float64, Grid, Volume
from worker.volume.head import head_mask
from worker.volume.resample import coarser

SLOPE: Final = 1.2
"""How steeply the plane falls from the forehead to the neck: of .6 to 2 the one with most of the eyes before it."""
MARGIN_MM: Final = 8.0
"""Between the plane and the template's brain: where the fit was accepted the brain came up to 6 mm nearer."""
STRETCH: Final = (0.68, 1.2)
"""Singular values of template -> patient; ICBM152 is larger than most heads. Small children's heads are refused."""
LARGEST_SKEW: Final = 1.45
"""Ratio of the largest singular value to the smallest."""
LARGEST_TURN_DEGREES: Final = 60.0
"""Of the template; beyond, the head lies otherwise than its header says."""
SMALLEST_OVERLAP: Final = 0.9
"""Dice of the template's head and the patient's around the brain: .92 and more where the fit is good, .88 at most where
it is not."""
SMALLEST_MATCH: Final = 2.0
"""How many times better the template matches than overturned: 2.6 and more, and 1 at most for a head upside down."""
LARGEST_BRAIN_ML: Final = 2000.0
"""A head behind its face is larger."""
EMPTY_SHARE: Final = 0.98
"""Around a stripped brain so many voxels have the very same value; air around a head is noisy."""
_NORMAL: Final[Float64] = np.array([0.0, -1.0, -SLOPE]) / np.hypot(1.0, SLOPE)
"""Of the plane: forwards and downwards in LPS of the template."""


class DefacingError(CaseError):
    """A face cannot be taken out safely; the text says why."""


def without_face(reference: Volume, lesions: Mask) -> Mask | None:
    """What stays of a patient: (Z, Y, X) bool on the grid of `reference`; None where there is no skull and so no face.

    lesions: (Z, Y, X) bool on the same grid; none of them is ever taken. Raises `DefacingError` where the template does
    not fit the patient, or the plane would cut a lesion.
    """
    if is_bare_brain(reference):
        return None
    template = head_template()
    try:
        transform = fit(template, reference)
    except NoOverlap as error:
        raise DefacingError("no head could be found in the image") from error
    _require_plausible(template, reference, transform)
    keep = behind_plane(template, reference.grid, transform)
    if (lesions & ~keep).any():
        raise DefacingError("the plane of the face would cut a lesion, so the template does not fit")
    return keep


def behind_plane(template: HeadTemplate, grid: Grid, transform: Float64) -> Mask:
    """(Z, Y, X) bool: the voxels of a patient's grid that are no face; `transform` takes template to patient, in mm."""
    brain = template.image.grid.to_mm(np.argwhere(template.brain)) @ _NORMAL
    across = _NORMAL @ (np.linalg.inv(transform) @ grid.affine)[:3]
    z, y, x = (np.arange(n, dtype=np.float64) for n in grid.shape_zyx)
    height = across[3] + across[2] * z[:, None, None] + across[1] * y[:, None] + across[0] * x
    kept: Mask = height < brain.max() + MARGIN_MM
    return kept


def is_bare_brain(volume: Volume) -> bool:
    """Whether the skull is gone: one value all around a body of a brain's size, and no dark bone under its surface."""
    small = coarser(volume, 2.0)
    body = head_mask(small)
    around = ~ndi.binary_dilation(body, iterations=3)
    empty = float((small.voxels[around] == small.voxels.min()).mean()) if around.any() else 0.0
    volume_ml = float(body.sum()) * small.grid.voxel_volume_mm3 / 1000
    return empty > EMPTY_SHARE and volume_ml < LARGEST_BRAIN_ML and not _has_bone(small, body)


def _has_bone(small: Volume, body: Mask) -> bool:
    """In the vault bone lies 4 to 12 mm below brighter scalp; a bare brain gets brighter inwards."""
    top = int(np.flatnonzero(body.any(axis=(1, 2))).max(initial=0))
    vault = np.zeros_like(body)
    vault[max(0, top - 30) : top] = True
    depth = ndi.distance_transform_edt(body, sampling=small.grid.spacing_mm_xyz[::-1])
    shells = [vault & (depth > mm) & (depth <= mm + 2) for mm in range(0, 12, 2)]
    profile = [_median(small.voxels[shell]) for shell in shells]
    return min(profile[2:]) < 0.8 * max(profile[:3])


def _median(values: Float32) -> float:
    return float(np.median(values)) if values.size else 0.0


def _require_plausible(template: HeadTemplate, patient: Volume, transform: Float64) -> None:
    one, stretch, other = np.linalg.svd(transform[:3, :3])
    turned = np.degrees(np.arccos(np.clip((np.trace(one @ other) - 1) / 2, -1, 1)))
    if turned > LARGEST_TURN_DEGREES:
        raise DefacingError(f"the head lies otherwise than the header says, turned by {turned:.0f} degrees")
    if stretch.min() < STRETCH[0] or stretch.max() > STRETCH[1] or np.linalg.det(transform[:3, :3]) < 0:
        raise DefacingError(
            f"a template of the head would be stretched {stretch.min():.2f} to {stretch.max():.2f} times"
        )
    if stretch.max() / stretch.min() > LARGEST_SKEW:
        raise DefacingError(f"a template of the head would be skewed {stretch.max() / stretch.min():.2f} times")
    found = overlap(template, patient, transform)
    if found < SMALLEST_OVERLAP:
        raise DefacingError(f"the outlines of the head and of a template overlap by only {found:.0%}")
    match = overturned_match(template, patient, transform)
    if match < SMALLEST_MATCH:
        raise DefacingError(f"a template of the head matches only {match:.1f} times better than overturned")
