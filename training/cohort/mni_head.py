"""A whole head around nilearn's ICBM152 brain: what an ordinary installation has instead of label maps.

The wheel of nilearn carries the skull-stripped T1 and the grey and white matter maps; cerebrospinal fluid, dura, skull,
scalp, eyes, ventricles and neck are drawn around them. Coarser than a real label map, and said so in `Anatomy.source`.
"""

from collections.abc import Callable
from typing import Any

import nibabel
import numpy as np
from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template
from numpy.typing import NDArray
from scipy import ndimage

from training.cohort.fields import upsample
from training.cohort.tissues import Tissue

UInt8 = NDArray[np.uint8]
_BRAIN_SHARE = 0.62
"""Less grey and white matter than this in the averaged maps is fluid: it opens the sulci that averaging closed."""
_PAD = ((45, 25), (25, 25), (25, 25))


def mni_head() -> UInt8:
    """(Z, Y, X) uint8 of `Tissue`, LPS, 1 mm."""
    t1, grey, white = (
        _lps(load(resolution=1)) for load in (load_mni152_template, load_mni152_gm_template, load_mni152_wm_template)
    )
    brain = ndimage.binary_fill_holes(t1 > 0.05 * t1.max())
    distance, inner = _distance(~brain), _distance(brain)
    head = np.zeros(t1.shape, dtype=np.uint8)
    z, y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in t1.shape), indexing="ij", sparse=True)
    _scalp(head, distance, z, y, x)
    head[distance <= 2.5] = Tissue.CSF
    head[brain] = Tissue.CSF
    tissue = brain & (grey + white > _BRAIN_SHARE)
    head[tissue & (grey >= white)] = Tissue.GREY
    head[tissue & (white > grey)] = Tissue.WHITE
    _deep(head, brain, inner, t1, z, y, x)
    _sinuses(head, distance, z, y, x)
    _eyes(head, z, y, x)
    return head


def canonical(image: Any) -> Any:
    """The image with its axes turned to RAS+; the one untyped call of nibabel."""
    turn: Callable[[Any], Any] = nibabel.as_closest_canonical
    return turn(image)


def _lps(image: Any) -> NDArray[np.float32]:
    data = np.asarray(canonical(image).dataobj, dtype=np.float32)
    return np.pad(data[::-1, ::-1, :].T, _PAD)


def _distance(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance to the nearest voxel that is not inside, mm, found on every second voxel: a head is smooth enough."""
    coarse = ndimage.distance_transform_edt(inside[::2, ::2, ::2], sampling=2.0).astype(np.float32)
    return upsample(coarse, (inside.shape[0], inside.shape[1], inside.shape[2]), 2)


def _index(mm_ras: tuple[float, float, float]) -> tuple[float, float, float]:
    """MNI mm (RAS) -> (z, y, x) voxel of the padded head; the wheel's grid starts at (-98, -134, -72) mm."""
    x, y, z = mm_ras
    return z + 72 + _PAD[0][0], (232 - (y + 134)) + _PAD[1][0], (196 - (x + 98)) + _PAD[2][0]


def _scalp(
    head: UInt8, distance: NDArray[np.float32], z: NDArray[np.float32], y: NDArray[np.float32], x: NDArray[np.float32]
) -> None:
    """Skull of two tables with marrow between, fat, skin; a neck of muscle and fat below."""
    centre = _index((0.0, -18.0, 0.0))
    neck = ((y - centre[1] - 10) / 62) ** 2 + ((x - centre[2]) / 58) ** 2
    low = z < centre[0] - 25
    head[low & (neck < 1.0)] = Tissue.SKIN
    head[low & (neck < 0.93)] = Tissue.FAT
    head[low & (neck < 0.75)] = Tissue.MUSCLE
    for limit, tissue in (
        (15.0, Tissue.SKIN),
        (13.0, Tissue.FAT),
        (9.0, Tissue.BONE),
        (7.0, Tissue.MARROW),
        (5.0, Tissue.BONE),
    ):
        head[distance <= limit] = tissue


def _deep(
    head: UInt8,
    brain: NDArray[np.bool_],
    inner: NDArray[np.float32],
    t1: NDArray[np.float32],
    z: NDArray[np.float32],
    y: NDArray[np.float32],
    x: NDArray[np.float32],
) -> None:
    """Ventricles are fluid far from the surface near the midline; cerebellum, stem and sinuses go by place."""
    at = _index((0.0, -20.0, 12.0))
    central = (abs(x - at[2]) < 42) & (abs(y - at[1]) < 62) & (abs(z - at[0]) < 30)
    dark = (t1 < 0.5 * np.percentile(t1[brain], 75)) | (head == Tissue.CSF)
    head[brain & dark & central & (inner > 14)] = Tissue.VENTRICLE
    lobe = _index((0.0, -62.0, -32.0))
    below = ((z - lobe[0]) / 26) ** 2 + ((y - lobe[1]) / 34) ** 2 + ((x - lobe[2]) / 54) ** 2 < 1
    head[below & (head == Tissue.GREY)] = Tissue.CEREBELLAR_GREY
    head[below & (head == Tissue.WHITE)] = Tissue.CEREBELLAR_WHITE
    stem = _index((0.0, -28.0, -36.0))
    column = (((y - stem[1]) / 14) ** 2 + ((x - stem[2]) / 16) ** 2 < 1) & (abs(z - stem[0]) < 30)
    head[column & brain & ((head == Tissue.GREY) | (head == Tissue.WHITE))] = Tissue.BRAINSTEM
    for mm, radius in (((12.0, -19.0, 7.0), 9), ((-12.0, -19.0, 7.0), 9)):
        c = _index(mm)
        ball = (z - c[0]) ** 2 + (y - c[1]) ** 2 + (x - c[2]) ** 2 < radius**2
        head[ball & (head != Tissue.VENTRICLE)] = Tissue.THALAMUS
    for side in (-1.0, 1.0):
        c = _index((26.0 * side, 2.0, 2.0))
        lens = ((z - c[0]) / 9) ** 2 + ((y - c[1]) / 15) ** 2 + ((x - c[2]) / 6) ** 2 < 1
        head[lens] = Tissue.CAUDATE


def _sinuses(
    head: UInt8, distance: NDArray[np.float32], z: NDArray[np.float32], y: NDArray[np.float32], x: NDArray[np.float32]
) -> None:
    """The superior sagittal sinus along the vault's midline, growing to the back, and the transverse sinuses."""
    middle = _index((0.0, 0.0, 0.0))
    shell = (distance > 0.5) & (distance < 7)
    width = 3.0 + 2.5 * np.clip((y - middle[1] + 30) / 90, 0, 1)
    vault = (z > middle[0] + 20) | ((y > middle[1] + 60) & (z > middle[0] - 25))
    head[shell & vault & (abs(x - middle[2]) < width)] = Tissue.SINUS
    level = _index((0.0, 0.0, -26.0))[0]
    head[shell & (abs(z - level) < 4.5) & (y > middle[1] + 30)] = Tissue.SINUS


def _eyes(head: UInt8, z: NDArray[np.float32], y: NDArray[np.float32], x: NDArray[np.float32]) -> None:
    for side in (-1.0, 1.0):
        c = _index((32.0 * side, 62.0, -36.0))
        radius = np.sqrt((z - c[0]) ** 2 + (y - c[1]) ** 2 + (x - c[2]) ** 2)
        outside = (head == Tissue.AIR) | (head >= Tissue.FAT)
        head[(radius < 18) & outside] = Tissue.FAT
        head[(radius < 12) & outside] = Tissue.EYE
