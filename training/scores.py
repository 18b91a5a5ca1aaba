"""What a probability map is worth against the truth: the paper's metrics of one patient, by voxel and by lesion.

Called by training/evaluate. Pure: arrays in, numbers out. Source: Grøvik et al. 2021, Statistical analysis. The paper
averages Dice and IoU over patients, so the two do not convert into one another; so it is done here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Mask = NDArray[np.bool_]
Float32 = NDArray[np.float32]

CONNECTIVITY: Final = 26
"""Voxels are connected if their edges or corners touch (paper, Statistical analysis)."""
OBJECT_LIMIT_MM3 = 10.0
"""The paper's size limit of an object, about 2 mm in linear dimension."""
BINS = 20_000
"""Of the ROC, equally wide in the logit."""
LOGITS = (-60.0, 18.0)
"""From the first bin to the last. A sure network ranks background by logits far below those of a lesion that it misses
(1e-20 against 1e-6): bins of equal probability would call both zero and count half of such a lesion as unseen."""
THRESHOLDS = (1e-3, 1 - 1e-3)
"""No rule sets a threshold beyond these: a rule of rates alone (Youden) would call a thousand voxels a patient."""
HIGHEST_AMONG_EQUALS = 0.9
"""A sure network steps from 0 to 1 between two voxels, and brought onto other planes its outline at a probability t
lies t - 1/2 voxels further in: at .9 already .4 voxels, a good part of a lesion of 3 mm. `one_se_threshold` goes above
where nothing lower is as good, pooled thresholds never do."""
DICE_GIVEN_UP = 0.01
"""Differences of the mean Dice over a few patients below this say nothing."""
TELLS_SOMETHING = 0.2
"""Mean Dice below which a subset of sequences does not show lesions: what it calls is chance."""
SIZE_CLASSES_MM = ((0.0, 3.0), (3.0, 6.0), (6.0, 10.0), (10.0, float("inf")))
"""Classes of equivalent-sphere diameter for the sensitivity by lesion size."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Roc:
    """Counts of voxels by probability bin, from which every threshold's rates follow."""

    positives: NDArray[np.int64]
    """(BINS,): lesion voxels by bin of probability, lowest first."""
    negatives: NDArray[np.int64]

    @property
    def rates(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(false positive rate, true positive rate) of calling positive from each bin up; from (1, 1) to (0, 0)."""
        return _falling(self.negatives), _falling(self.positives)

    @property
    def auc(self) -> float:
        """Area under the ROC curve; not a number where there is no lesion voxel."""
        fpr, tpr = self.rates
        return float(np.trapezoid(tpr[::-1], fpr[::-1]))


def roc(probability: Float32, truth: Mask, inside: Mask) -> Roc:
    """Count the voxels `inside` (those where something was measured). All arrays (Z, Y, X)."""
    bins = np.clip(_places(probability[inside].astype(np.float64)), 0, BINS - 1).astype(np.int64)
    lesion = truth[inside]
    return Roc(
        positives=np.bincount(bins[lesion], minlength=BINS), negatives=np.bincount(bins[~lesion], minlength=BINS)
    )


def _falling(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    above = np.concatenate([np.cumsum(counts[::-1])[::-1], [0]])
    total = max(int(counts.sum()), 1) if counts.sum() else np.nan
    rates: NDArray[np.float64] = above / total
    return rates


def youden_threshold(rocs: Sequence[Roc]) -> float:
    """The probability at which the mean over patients of TPR - FPR is greatest (Youden 1950; the paper's rule)."""
    gain = np.nanmean([tpr - fpr for fpr, tpr in (roc.rates for roc in rocs)], axis=0)
    return _probability(np.argmax(gain))


def dice_threshold(rocs: Sequence[Roc]) -> float:
    """The probability at which the mean Dice over patients is greatest: an alternative to the paper's rule."""
    return _probability(np.argmax(_mean_dice(rocs)))


def one_se_threshold(rocs: Sequence[Roc]) -> float:
    """The highest probability up to `HIGHEST_AMONG_EQUALS` whose mean Dice is within a standard error of the greatest.

    The one-standard-error rule (Breiman et al. 1984, Classification and Regression Trees, 3.4.3), the error being that
    of the greatest mean over the patients. On ten patients one lesion of 3 mm, there at .3 and gone at .7, moves the
    maximum, and tells less of other patients than the false objects from which a high threshold keeps them. Where only
    probabilities above `HIGHEST_AMONG_EQUALS` are as good, the lowest of them.
    """
    dice = _dice_by_patient(rocs)
    mean = dice.mean(axis=0)
    best = dice[:, mean.argmax()]
    error = best.std(ddof=1) / np.sqrt(len(best)) if len(best) > 1 else 0.0
    return _probability(_highest(np.flatnonzero(mean >= mean.max() - error)))


def pooled_thresholds(rocs: Mapping[str, Sequence[Roc]], *, least: float = 0.0) -> dict[str, float]:
    """A threshold for each subset: as near to one common threshold as costs it no more than `DICE_GIVEN_UP`.

    On the few patients that set a threshold the mean Dice of one subset is flat over most probabilities, and where its
    maximum lies there is chance; over all subsets together it is not. The common threshold is the highest up to
    `HIGHEST_AMONG_EQUALS` that costs the mean Dice over the subsets no more than `DICE_GIVEN_UP`: what Dice does not
    tell apart, false objects do, and a scanner that the network has not met makes more of them. No subset goes above
    that ceiling, whatever it costs: one patient of few, with a false object that only .97 leaves out, would set it. A
    subset that never comes to `TELLS_SOMETHING` (pre-Gd T1 alone) takes the common one: its own best would call chance.

    Probabilities below `least` are left out: those for which an answer is not meant.
    """
    dice = {name: _mean_dice(found) for name, found in rocs.items()}
    if least > 0:
        too_low = int(np.ceil(_places(np.array(least))))
        dice = {name: np.where(np.arange(len(curve)) < too_low, 0.0, curve) for name, curve in dice.items()}
    common = min(int(_good(np.mean(list(dice.values()), axis=0))[-1]), _ceiling())
    allowed = {
        name: _good(curve) if curve.max() >= TELLS_SOMETHING else np.array([common]) for name, curve in dice.items()
    }
    nearest = {name: int(bins[np.argmin(np.abs(bins - common))]) for name, bins in allowed.items()}
    return {name: _probability(min(place, _ceiling())) for name, place in nearest.items()}


def _good(dice: NDArray[np.float64]) -> NDArray[np.intp]:
    """The bins of a curve that are as good as its best."""
    return np.flatnonzero(dice >= dice.max() - DICE_GIVEN_UP)


def _highest(good: NDArray[np.intp]) -> int:
    """The highest of some bins up to the ceiling; the lowest where all lie above it."""
    below = good[good <= _ceiling()]
    return int(below[-1] if below.size else good[0])


def _ceiling() -> int:
    return int(np.rint(_places(np.array(HIGHEST_AMONG_EQUALS))))


def _mean_dice(rocs: Sequence[Roc]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = _dice_by_patient(rocs).mean(axis=0)
    return mean


def _dice_by_patient(rocs: Sequence[Roc]) -> NDArray[np.float64]:
    """(patients with a lesion, bins)."""
    return np.array([_dice_by_bin(roc) for roc in rocs if roc.positives.sum()])


def _probability(place: np.integer | int) -> float:
    """The probability from which bin `place` on is called, within `THRESHOLDS`."""
    first, last = LOGITS
    return float(np.clip(expit(first + int(place) * (last - first) / BINS), *THRESHOLDS))


def _places(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where probabilities lie among the bins, as fractions of one."""
    first, last = LOGITS
    places: NDArray[np.float64] = (logit(probability) - first) * (BINS / (last - first))
    return places


def _dice_by_bin(roc: Roc) -> NDArray[np.float64]:
    found = np.concatenate([np.cumsum(roc.positives[::-1])[::-1], [0]])
    called = found + np.concatenate([np.cumsum(roc.negatives[::-1])[::-1], [0]])
    dice: NDArray[np.float64] = 2 * found / (called + roc.positives.sum())
    return dice


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientScores:
    """The metrics of one patient at one threshold. Ratios without a denominator are not a number."""

    auc: float
    dice: float
    iou: float
    recall: float
    precision: float
    fpr: float
    fp: int
    """Predicted objects that touch no lesion, of any size."""
    fp_10mm3: int
    """The same from 10 mm3 up."""
    lesions: int
    found: int
    """Lesions that a predicted object touches."""
    by_size: Mapping[str, tuple[int, int]]
    """Class of diameter -> (found, all)."""


def score(
    probability: Float32, truth: Mask, inside: Mask, *, threshold: float, voxel_volume_mm3: float
) -> PatientScores:
    """All metrics of one patient. Arrays are (Z, Y, X); `inside` says where something was measured."""
    called = (probability >= threshold) & inside
    lesion = truth & inside
    tp = int((called & lesion).sum())
    fp = int(called.sum()) - tp
    fn = int(lesion.sum()) - tp
    tn = int(inside.sum()) - tp - fp - fn
    false_objects = untouched_volumes(called, truth, voxel_volume_mm3)
    by_size = _found_by_size(truth, called, voxel_volume_mm3)
    return PatientScores(
        auc=roc(probability, truth, inside).auc,
        dice=_ratio(2 * tp, 2 * tp + fp + fn),
        iou=_ratio(tp, tp + fp + fn),
        recall=_ratio(tp, tp + fn),
        precision=_ratio(tp, tp + fp),
        fpr=_ratio(fp, fp + tn),
        fp=len(false_objects),
        fp_10mm3=int((false_objects >= OBJECT_LIMIT_MM3).sum()),
        lesions=sum(total for _, total in by_size.values()),
        found=sum(found for found, _ in by_size.values()),
        by_size=by_size,
    )


def untouched_volumes(called: Mask, truth: Mask, voxel_volume_mm3: float) -> NDArray[np.float64]:
    """Volumes in mm3 of the predicted objects that share no voxel with the truth."""
    objects, count = cc3d.connected_components(called, connectivity=CONNECTIVITY, return_N=True)
    sizes = np.bincount(objects.ravel(), minlength=count + 1)[1:]
    touched = np.bincount(objects[truth], minlength=count + 1)[1:] > 0
    return np.asarray(sizes[~touched] * voxel_volume_mm3, dtype=np.float64)


def _found_by_size(truth: Mask, called: Mask, voxel_volume_mm3: float) -> dict[str, tuple[int, int]]:
    objects, count = cc3d.connected_components(truth, connectivity=CONNECTIVITY, return_N=True)
    volumes = np.asarray(np.bincount(objects.ravel(), minlength=count + 1)[1:] * voxel_volume_mm3, dtype=np.float64)
    found = np.bincount(objects[called], minlength=count + 1)[1:] > 0
    diameters = equivalent_diameter_mm(volumes)
    classes = {}
    for low, high in SIZE_CLASSES_MM:
        members = (diameters >= low) & (diameters < high)
        classes[size_class_name(low, high)] = (int(found[members].sum()), int(members.sum()))
    return classes


def equivalent_diameter_mm(volume_mm3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Diameter of the sphere of the same volume."""
    diameter: NDArray[np.float64] = np.cbrt(6 * volume_mm3 / np.pi)
    return diameter


def size_class_name(low: float, high: float) -> str:
    """`<3 mm`, `3-6 mm`, ..., `>10 mm`."""
    if low == 0:
        return f"<{high:g} mm"
    return f">{low:g} mm" if np.isinf(high) else f"{low:g}-{high:g} mm"


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
