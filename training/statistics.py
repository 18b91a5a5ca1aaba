"""From patients to a cohort: means with spread, and the tests that compare two networks.

Called by training/evaluate and training/reproduce. Pure. The paper compares by the Wilcoxon rank-sum test at 5 %; as
both networks see the same patients, the paired signed-rank test stands beside it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.scores import PatientScores, Roc

METRICS = ("auc", "dice", "iou", "recall", "precision", "fpr", "fp", "fp_10mm3")
"""In the order of the paper's Table 1 (AUC, Dice, IoU, recall, precision, FPR, FP, FP from 10 mm3)."""
ROC_GRID = np.concatenate([np.linspace(0, 0.01, 101), np.linspace(0.02, 1, 99)])
"""False positive rates at which curves are averaged: dense where they bend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Mean and standard deviation over the patients for whom the metric is defined."""

    mean: float
    sd: float
    n: int

    @property
    def standard_error(self) -> float:
        """Of the mean; not a number below two patients."""
        return self.sd / math.sqrt(self.n) if self.n > 1 else float("nan")


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Two networks on the same patients."""

    rank_sum_p: float
    """Wilcoxon rank-sum, two-sided: the paper's."""
    signed_rank_p: float
    """Wilcoxon signed-rank on the pairs."""


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation without the undefined ones."""
    defined = np.array([value for value in values if np.isfinite(value)], dtype=np.float64)
    if defined.size == 0:
        return Spread(mean=float("nan"), sd=float("nan"), n=0)
    return Spread(
        mean=float(defined.mean()), sd=float(defined.std(ddof=1)) if defined.size > 1 else 0.0, n=defined.size
    )


def summarise(patients: Sequence[PatientScores]) -> dict[str, Spread]:
    """Every metric of Table 1 over the cohort."""
    return {name: spread([float(getattr(patient, name)) for patient in patients]) for name in METRICS}


def sensitivity_by_size(patients: Sequence[PatientScores]) -> dict[str, tuple[int, int]]:
    """Class of diameter -> (lesions found, lesions), pooled over the cohort."""
    pooled: dict[str, tuple[int, int]] = {}
    for patient in patients:
        for name, (found, total) in patient.by_size.items():
            before = pooled.get(name, (0, 0))
            pooled[name] = (before[0] + found, before[1] + total)
    return pooled


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Test whether two networks differ on the same patients. Patients where either is undefined are left out."""
    pairs = np.array([(a, b) for a, b in zip(first, second, strict=True) if np.isfinite(a) and np.isfinite(b)])
    if len(pairs) < 2:
        return Comparison(rank_sum_p=float("nan"), signed_rank_p=float("nan"))
    a, b = pairs.T
    signed = 1.0 if np.array_equal(a, b) else float(stats.wilcoxon(a, b).pvalue)
    return Comparison(rank_sum_p=float(stats.ranksums(a, b).pvalue), signed_rank_p=signed)


def paired_difference(first: Mapping[str, float], second: Mapping[str, float]) -> Spread:
    """First less second over the patients that both hold, by name. `sd` is of the differences."""
    return spread([first[name] - second[name] for name in first if name in second])


def mean_roc(
    rocs: Sequence[Roc],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(fpr, mean tpr, lower, upper): the patients' curves averaged at equal FPR with the 95 % confidence band."""
    curves = []
    for roc in rocs:
        fpr, tpr = roc.rates
        if np.isfinite(tpr).all():
            curves.append(np.interp(ROC_GRID, fpr[::-1], tpr[::-1]))
    stacked = np.array(curves)
    mean = stacked.mean(axis=0)
    half = 1.96 * stacked.std(axis=0, ddof=1 if len(curves) > 1 else 0) / np.sqrt(len(curves))
    return ROC_GRID, mean, np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)


def table(rows: Mapping[str, Sequence[PatientScores]], *, tested: str | None = None) -> str:
    """Table 1 of the paper as Markdown: a row for each network, and p-values of `tested` against each other one."""
    heads = ["Network", "AUC", "Dice", "IoU", "Recall", "Precision", "FPR", "FP", "FP (10 mm3)"]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for name, patients in rows.items():
        cells = [_cell(metric, value) for metric, value in summarise(patients).items()]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    others = [] if tested is None else [(name, tested) for name in rows if name != tested]
    for name, ours in others:
        tests = [compare([getattr(p, m) for p in rows[ours]], [getattr(p, m) for p in rows[name]]) for m in METRICS]
        against = f"p, {ours} and {name}"
        lines.append("| " + " | ".join([f"{against}, rank-sum", *(_p(t.rank_sum_p) for t in tests)]) + " |")
        lines.append("| " + " | ".join([f"{against}, signed-rank", *(_p(t.signed_rank_p) for t in tests)]) + " |")
    return "\n".join(lines) + "\n"


def _cell(metric: str, value: Spread) -> str:
    digits = 1 if metric.startswith("fp") and metric != "fpr" else 4 if metric == "fpr" else 3
    return f"{value.mean:.{digits}f} ± {value.sd:.{digits}f}"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
