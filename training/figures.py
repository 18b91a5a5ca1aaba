"""The paper's figures: mosaic of probability and TP/FP/FN (Fig. 1), ROC with 95 % band (Fig. 2), box plots (Fig. 3).

A fourth is the free-response curve, which shows networks at equal false positives. Called by training/evaluate and
training/reproduce. Each is written as PNG and PDF; one that cannot be drawn, as no patient has a lesion, is taken away,
so that none of an earlier report stands beside a new table.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from training import out_folder
from training.free_response import OperatingPoint
from training.scores import Float32, Mask, PatientScores, Roc
from training.statistics import mean_roc

mpl.use("Agg")

BOXES = (
    ("dice", "Dice score"),
    ("iou", "IoU score"),
    ("fp", "False positives"),
    ("fp_10mm3", "False positives, 10 mm³"),
)
"""The panels of Fig. 3."""
MOSAIC, CURVES, BOX_PLOTS, FREE = "figure-1-mosaic", "figure-2-roc", "figure-3-boxes", "figure-4-froc"
_MOST_FALSE = 6.0
"""False positives a patient up to which Fig. 4 is drawn."""
_ENDINGS = ("png", "pdf")
_CLASSES = ListedColormap(["#2ca02c", "#d62728", "#1f77b4"])
"""True positive, false positive, false negative."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MosaicRow:
    """One patient's slice of Fig. 1; arrays are (Y, X)."""

    name: str
    background: Float32
    probability: Float32
    truth: Mask
    threshold: float


def write_mosaic(rows: Sequence[MosaicRow], out: Path) -> None:
    """Fig. 1: the slice, the probability from 0.5 to 1, and true positives, false positives and false negatives."""
    if not rows:
        _take_away(out, MOSAIC)
        return
    figure = Figure(figsize=(9, 3 * len(rows)), layout="constrained", facecolor="black")
    axes = figure.subplots(len(rows), 3, squeeze=False)
    image: Any = None
    for row, (left, middle, right) in zip(rows, axes, strict=True):
        for panel in (left, middle, right):
            panel.imshow(row.background, cmap="gray", vmax=np.percentile(row.background, 99.7))
            panel.set_axis_off()
        left.set_title(row.name, color="white", fontsize=9)
        shown = np.ma.masked_less(row.probability, 0.5)
        image = middle.imshow(shown, cmap="hot", vmin=0.5, vmax=1)
        called = row.probability >= row.threshold
        classes = np.where(called & row.truth, 1, np.where(called, 2, np.where(row.truth, 3, 0)))
        right.imshow(np.ma.masked_equal(classes, 0), cmap=_CLASSES, vmin=1, vmax=3, interpolation="nearest")
    bar = figure.colorbar(image, ax=axes[:, 1], shrink=0.6, location="bottom", label="probability")
    bar.ax.xaxis.label.set_color("white")
    bar.ax.tick_params(colors="white")
    axes[0, 2].set_title("green TP, red FP, blue FN", color="white", fontsize=9)
    _save(figure, out, MOSAIC)


def write_curves(rocs: Mapping[str, Sequence[Roc]], out: Path) -> None:
    """Fig. 2: the mean ROC curve over the patients with its 95 % confidence band, a line for each network."""
    defined = {name: [roc for roc in patients if roc.positives.sum()] for name, patients in rocs.items()}
    if not any(defined.values()):
        _take_away(out, CURVES)
        return
    figure = Figure(figsize=(6, 5), layout="constrained")
    axis = figure.subplots()
    for name, patients in defined.items():
        if not patients:
            continue
        fpr, mean, low, high = mean_roc(patients)
        auc = np.mean([roc.auc for roc in patients])
        (line,) = axis.plot(fpr, mean, label=f"{name}: AUC {auc:.3f}")
        axis.fill_between(fpr, low, high, alpha=0.25, color=line.get_color())
    axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle="--")
    axis.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1), ylim=(0, 1.01))
    axis.legend(loc="lower right", fontsize=7)
    _save(figure, out, CURVES)


def write_boxes(scores: Mapping[str, Sequence[PatientScores]], out: Path) -> None:
    """Fig. 3: Dice, IoU and false positives over the patients: median, mean (x), quartiles, whiskers, outliers."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    for (metric, title), axis in zip(BOXES, figure.subplots(1, 4), strict=True):
        values = [_defined([float(getattr(one, metric)) for one in patients]) for patients in scores.values()]
        marks = {"marker": "x", "markeredgecolor": "black"}
        axis.boxplot(values, tick_labels=list(scores), showmeans=True, meanprops=marks)
        axis.set_title(title)
        axis.tick_params(axis="x", labelrotation=90 if len(scores) > 2 else 0, labelsize=7)
    _save(figure, out, BOX_PLOTS)


def write_free_response(
    found: Mapping[str, tuple[Sequence[OperatingPoint], Sequence[PatientScores]]], out: Path
) -> None:
    """Fig. 4: lesions found against false positives from 10 mm3 a patient; a dot at the threshold of the scores."""
    drawn = {name: both for name, both in found.items() if both[0] and both[0][0].lesions}
    if not drawn:
        _take_away(out, FREE)
        return
    figure = Figure(figsize=(6, 5), layout="constrained")
    axis = figure.subplots()
    for name, (points, scores) in drawn.items():
        lesions = points[0].lesions
        (line,) = axis.plot([p.false for p in points], [p.found / lesions for p in points], label=name)
        at = (np.mean([one.fp_10mm3 for one in scores]), sum(one.found for one in scores) / lesions)
        axis.plot(*at, "o", color=line.get_color())
    axis.set(xlabel="false positives from 10 mm³ a patient", ylabel="lesions found", ylim=(0, 1.01))
    axis.set_xlim(0, min(_MOST_FALSE, max(0.5, 1.05 * max(p.false for points, _ in drawn.values() for p in points))))
    axis.legend(loc="lower right", fontsize=7)
    _save(figure, out, FREE)


def _defined(values: list[float]) -> list[float]:
    return [value for value in values if np.isfinite(value)]


def _save(figure: Figure, out: Path, name: str) -> None:
    """Write a figure. Drawn in memory: matplotlib's PDF writer meets a full disk with faults of its own."""
    out.mkdir(parents=True, exist_ok=True)
    for path in _files(out, name):
        drawn = io.BytesIO()
        figure.savefig(drawn, format=path.suffix[1:], dpi=110, facecolor=figure.get_facecolor())
        out_folder.write_whole(path, drawn.getvalue())


def _take_away(out: Path, name: str) -> None:
    for path in _files(out, name):
        path.unlink(missing_ok=True)


def _files(out: Path, name: str) -> list[Path]:
    return [out / f"{name}.{ending}" for ending in _ENDINGS]
