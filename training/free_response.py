"""How many lesions a network finds against how many false objects it calls, over all thresholds: the FROC curve.

Two networks with a threshold each differ in both at once; at equal numbers of false objects they can be told apart.
Called by training/evaluate, training/reproduce and training/figures. Pure: arrays in, numbers out. Sources: Bunch et
al. 1977 (free-response ROC); an object and its least size are those of the paper (Grøvik et al. 2021).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training.scores import CONNECTIVITY, OBJECT_LIMIT_MM3, Float32, Mask, untouched_volumes
from training.statistics import spread

THRESHOLDS: Final[NDArray[np.float64]] = expit(np.arange(-7.0, 16.0))
"""From .001 up, a logit apart; float32 tells no more apart nearer to 1."""
LIMITS: Final = (0.5, 1.0, 2.0, 4.0)
"""False objects a patient at which networks are compared, about as lung nodules are (LUNA16: 1/8 to 8)."""

EXPLAINED: Final = (
    "At equal numbers of false positives from 10 mm3 a patient, by the thresholds that give them on these very "
    "patients: lesions found, mean Dice, and from which threshold on, with how many."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class FreeResponse:
    """One patient at each of `THRESHOLDS`; arrays are as long as they."""

    found: NDArray[np.int64]
    """Lesions that a called object touches."""
    lesions: int
    false: NDArray[np.int64]
    """Called objects from 10 mm3 that touch no lesion."""
    dice: NDArray[np.float64]
    """Not a number where nothing is called and there is no lesion."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatingPoint:
    """A cohort at one of `THRESHOLDS`."""

    threshold: float
    found: int
    lesions: int
    false: float
    """Mean over the patients."""
    dice: float
    """Mean over the patients for whom it is defined."""


def free_response(probability: Float32, truth: Mask, inside: Mask, voxel_volume_mm3: float) -> FreeResponse:
    """One patient. Arrays are (Z, Y, X); `inside` says where something was measured."""
    objects, lesions = cc3d.connected_components(truth, connectivity=CONNECTIVITY, return_N=True)
    found, false, dice = [], [], []
    size = int((truth & inside).sum())
    for threshold in THRESHOLDS:
        called = (probability >= threshold) & inside
        touched = objects[called]
        found.append(np.count_nonzero(np.bincount(touched, minlength=lesions + 1)[1:]))
        false.append(np.count_nonzero(untouched_volumes(called, truth, voxel_volume_mm3) >= OBJECT_LIMIT_MM3))
        both = size + len(touched)
        dice.append(2 * np.count_nonzero(touched) / both if both else np.nan)
    return FreeResponse(found=np.array(found), lesions=int(lesions), false=np.array(false), dice=np.array(dice))


def curve(patients: Sequence[FreeResponse]) -> list[OperatingPoint]:
    """The cohort at each of `THRESHOLDS`, lowest first; none without patients."""
    if not patients:
        return []
    found = np.sum([one.found for one in patients], axis=0)
    false = np.mean([one.false for one in patients], axis=0)
    dice = [spread(list(values)).mean for values in zip(*(one.dice for one in patients), strict=True)]
    lesions = sum(one.lesions for one in patients)
    return [
        OperatingPoint(threshold=float(t), found=int(f), lesions=lesions, false=float(wrong), dice=mean)
        for t, f, wrong, mean in zip(THRESHOLDS, found, false, dice, strict=True)
    ]


def at_most(points: Sequence[OperatingPoint], false: float) -> OperatingPoint | None:
    """The lowest threshold from which on no more than so many false objects a patient are called; None: never so few.

    From it on: objects break up as the threshold rises, so that their number may rise too.
    """
    chosen = None
    for point in reversed(points):
        if point.false > false:
            break
        chosen = point
    return chosen


def table(curves: dict[str, list[OperatingPoint]]) -> str:
    """Markdown: a row for each network, a column for each of `LIMITS`: lesions found, Dice and the threshold."""
    heads = ["Network", *(f"at most {limit:g} FP (10 mm3)" for limit in LIMITS)]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for name, points in curves.items():
        cells = [_cell(at_most(points, limit)) for limit in LIMITS]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines) + "\n"


def _cell(point: OperatingPoint | None) -> str:
    if point is None:
        return "none"
    near_one = f"1 - {1 - point.threshold:.1g}"
    least = near_one if point.threshold > 0.99 else f"{point.threshold:.3g}"
    return f"{point.found}/{point.lesions}, Dice {point.dice:.3f} (from {least}: {point.false:.1f})"
