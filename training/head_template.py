"""A template of the head, how it is fitted to a patient, and whether the fit is plausible.

nilearn's MNI head with the skull and scalp that training/cohort/mni_head draws around it. Called by training/deface
only. An affine transform follows Mattes mutual information over brain, skull and scalp, not over face and neck, from
the best of many turns.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Final

import numpy as np
import scipy.ndimage as ndi
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from training.cohort.anatomy import load_anatomy
from training.cohort.tissues import BRAIN, Tissue
from training.scores import Mask
from worker.errors import NoOverlap
from worker.volume.geometry import Float64, Grid, Volume
from worker.volume.head import head_mask
from worker.volume.mutual_information import MutualInformation
from worker.volume.resample import coarser, resample

SPACING_MM: Final = 2.0
_AROUND_MM = 26.0
"""So far around the brain a first glance looks: skull, scalp, and some air."""
_CLOSE_MM = 4.0
"""So far around the brain it is fitted: scalp and fluid are as thick as the patient has them, and would mislead."""
_NECK_MM = 20.0
"""Above the end of the template's brain stem: from there on upwards the metric looks."""
_SIGNAL: Final[dict[Tissue, float]] = {
    Tissue.AIR: 0.0,
    Tissue.CSF: 0.3,
    Tissue.VENTRICLE: 0.25,
    Tissue.GREY: 0.7,
    Tissue.CEREBELLAR_GREY: 0.7,
    Tissue.BONE: 0.08,
    Tissue.MARROW: 0.5,
    Tissue.FAT: 1.3,
    Tissue.SKIN: 0.8,
    Tissue.MUSCLE: 0.5,
    Tissue.EYE: 0.25,
    Tissue.SINUS: 0.6,
}
"""The template as a T1 image, white matter 1; mutual information asks only that tissues differ."""


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """One resolution of the search."""

    spacing_mm: float
    step_mm: float
    iterations: int
    relaxation: float


_GLANCE: Final = _Stage(spacing_mm=8.0, step_mm=6.0, iterations=40, relaxation=0.7)
_STAGES: Final = (
    _Stage(spacing_mm=8.0, step_mm=4.0, iterations=120, relaxation=0.75),
    _Stage(spacing_mm=4.0, step_mm=1.5, iterations=40, relaxation=0.6),
)
_FOLLOWED = 8
"""So many of the best starts are followed for some steps, and the best of these to the end."""
_TURNS: Final = tuple(product((-36.0, -24.0, -12.0, 0.0, 12.0, 24.0, 36.0), (-10.0, 10.0), (-15.0, 0.0, 15.0)))
"""Rotations about x, y, z tried, in degrees: nodded, tilted, turned."""
_OVERTURNED: Final = tuple(
    (x + nod, y, z) for x, y, z in ((180, 0, 0), (0, 180, 0), (0, 0, 180)) for nod in (-15, 0, 15)
)
"""Tried too, so that a header that is wrong is noticed and not obeyed."""
_HALF_TURNS: Final = ((1.0, -1.0, -1.0, 1.0), (-1.0, 1.0, -1.0, 1.0), (-1.0, -1.0, 1.0, 1.0))
_SMALLER = 0.9
"""ICBM152 is larger than most heads; from a template that is too large the search ends at the skull."""
_VAULT_MM = 90.0
_SMALLEST_STEP_MM = 0.02
_CEILING = 1.8
"""In medians of the head: fat and vessels are many times as bright as brain and would leave it few of the bins."""
_OVERLAP_MM = 4.0


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadTemplate:
    """The template; its millimetres are LPS, from its own corner. Masks are (Z, Y, X) bool on the grid of `image`."""

    image: Volume
    head: Mask
    """Skin and all within it."""
    brain: Mask
    around: Mask
    """Brain, skull, scalp and some air, neither face nor neck: where the metric looks first."""
    close: Mask
    """The brain and its surface: where it looks last."""


@lru_cache(maxsize=1)
def head_template() -> HeadTemplate:
    """The template at 2 mm; made once in a process, in some seconds."""
    tissue = load_anatomy(None).tissue[::2, ::2, ::2]
    signal = np.ones(len(Tissue), dtype=np.float32)
    signal[list(_SIGNAL)] = list(_SIGNAL.values())
    z, y, x = tissue.shape
    grid = Grid(shape_zyx=(z, y, x), affine=np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0]))
    brain = np.isin(tissue, BRAIN)
    neck = int(np.flatnonzero(brain.any(axis=(1, 2))).min()) + round(_NECK_MM / SPACING_MM)
    around, close = (ndi.binary_dilation(brain, iterations=round(mm / SPACING_MM)) for mm in (_AROUND_MM, _CLOSE_MM))
    around[:neck] = close[:neck] = False
    image = Volume(voxels=signal[tissue], grid=grid)
    return HeadTemplate(image=image, head=tissue != Tissue.AIR, brain=brain, around=around, close=close)


def fit(template: HeadTemplate, patient: Volume) -> Float64:
    """(4, 4) affine: LPS mm of the template -> LPS mm of the patient. Raises `NoOverlap`."""
    dull = _without_highlights(patient)
    glance = _search(template, template.around, dull, _GLANCE)
    starts = sorted(_starts(template, dull), key=glance.value)[:_FOLLOWED]
    close = _search(template, template.close, dull, _GLANCE)
    found = min((_refine(close, start) for start in starts), key=close.value)
    for stage in _STAGES:
        found = _refine(_search(template, template.close, dull, stage), found)
    return _matrix(found)


def overturned_match(template: HeadTemplate, patient: Volume, transform: Float64) -> float:
    """Mutual information of a fit over that of the same fit with the template turned by 180 degrees, the best of three.

    Near 1 or below for a fit that went astray, or for a head that lies otherwise than its header says.
    """
    search = _search(template, template.close, _without_highlights(patient), _STAGES[-1])
    centre = np.eye(4)
    centre[:3, 3] = template.image.grid.to_mm(np.argwhere(template.close).mean(axis=0))
    turned = [transform @ centre @ np.diag(signs) @ np.linalg.inv(centre) for signs in _HALF_TURNS]
    best = max(-search.value(_as_sitk(one)) for one in turned)
    return -search.value(_as_sitk(transform)) / max(best, 1e-6)


def overlap(template: HeadTemplate, patient: Volume, transform: Float64) -> float:
    """Dice of both heads around the brain, as far as the image reaches; 0 where it does not reach there."""
    small = coarser(patient, _OVERLAP_MM)
    grid = template.image.grid
    there = Volume(voxels=head_mask(small).astype(np.float32), grid=small.grid)
    own = resample(there, grid, transform).voxels > 0.5
    seen = resample(Volume(voxels=np.ones_like(small.voxels), grid=small.grid), grid, transform).voxels > 0.5
    region = template.around & seen
    both = (own & template.head & region).sum()
    return float(2 * both / max(1, (own & region).sum() + (template.head & region).sum()))


def _search(template: HeadTemplate, where: Mask, patient: Volume, stage: _Stage) -> MutualInformation:
    """The metric and the optimiser at one resolution."""
    fixed = coarser(template.image, stage.spacing_mm)
    look = resample(Volume(voxels=where.astype(np.float32), grid=template.image.grid), fixed.grid)
    search = MutualInformation.within(look.voxels > 0.5, fixed, coarser(patient, stage.spacing_mm))
    search.method.SetOptimizerAsRegularStepGradientDescent(
        stage.step_mm, _SMALLEST_STEP_MM, stage.iterations, relaxationFactor=stage.relaxation
    )
    search.method.SetOptimizerScalesFromPhysicalShift()
    return search


def _refine(search: MutualInformation, transform: Any) -> Any:
    """The optimum near a transform. Raises `NoOverlap`."""
    found = sitk.AffineTransform(transform)
    search.follow(found)
    return found


def _starts(template: HeadTemplate, patient: Volume) -> list[Any]:
    """Turns about the middle of the vault, which is brought to that of the patient; overturned, that of the head."""
    still, other = template.image.grid, coarser(patient, _OVERLAP_MM)
    mask = head_mask(other)
    places = other.grid.to_mm(np.argwhere(mask))
    vault = places[places[:, 2] > places[:, 2].max() - _VAULT_MM].mean(axis=0)
    own = still.to_mm(np.argwhere(template.head))
    pivot = own[own[:, 2] > own[:, 2].max() - _VAULT_MM].mean(axis=0)
    middle = places.mean(axis=0) if len(places) else vault
    return [_start(turn, pivot, vault) for turn in _TURNS] + [_start(turn, pivot, middle) for turn in _OVERTURNED]


def _start(turn_degrees: tuple[float, float, float], pivot: Float64, to: Float64) -> Any:
    transform = sitk.AffineTransform(3)
    transform.SetCenter([float(v) for v in pivot])
    turn = _SMALLER * Rotation.from_euler("xyz", turn_degrees, degrees=True).as_matrix()
    transform.SetMatrix([float(v) for v in turn.ravel()])
    transform.SetTranslation([float(v) for v in to - pivot])
    return transform


def _without_highlights(patient: Volume) -> Volume:
    head = head_mask(patient)
    if not head.any():
        raise NoOverlap("nothing stands out from the background")
    ceiling = np.float32(_CEILING * np.median(patient.voxels[head]))
    return Volume(voxels=np.minimum(patient.voxels, ceiling), grid=patient.grid)


def _as_sitk(matrix: Float64) -> Any:
    transform = sitk.AffineTransform(3)
    transform.SetMatrix([float(v) for v in matrix[:3, :3].ravel()])
    transform.SetTranslation([float(v) for v in matrix[:3, 3]])
    return transform


def _matrix(transform: Any) -> Float64:
    turn, centre = np.array(transform.GetMatrix()).reshape(3, 3), np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - turn @ centre
    return matrix
