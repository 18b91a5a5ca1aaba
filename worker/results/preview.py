"""A picture of the result for people: slices of the reference with the probability and the outlines over them.

Called by the pipeline and the demo; a PNG beside the DICOM objects, never sent. In the manner of the paper's Fig. 1:
the probability from the threshold's neighbourhood to 1 as colour, with its scale.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from worker.results.outlines import outlines
from worker.results.provenance import RESEARCH_USE_ONLY, ResultContext
from worker.results.secondary_capture import WINDOW_PERCENTILES

SLICES = 4
OVERLAY = (0.5, 1.0)
"""Probabilities below are not drawn (paper, Fig. 1)."""
_BACKGROUND, _INK = "#101114", "#e8e8ea"
_OUTLINE = "#39d0ff"
_COLOURS = "autumn"


def write_preview(path: Path, context: ResultContext) -> Path:
    """Draw up to four slices: above the image, below it with probability and outlines. Equal input, equal bytes."""
    shown = _slices(context)
    figure = Figure(figsize=(3.0 * len(shown) + 0.9, 6.9), facecolor=_BACKGROUND)
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(shown), squeeze=False)
    figure.subplots_adjust(
        left=0.01, right=1 - 0.75 / (3.0 * len(shown) + 0.9), top=0.88, bottom=0.035, wspace=0.02, hspace=0.03
    )
    overlay = None
    for column, z in enumerate(shown):
        _image(axes[0, column], context, z)
        _image(axes[1, column], context, z)
        overlay = _probability(axes[1, column], context, z)
        axes[0, column].set_title(f"slice {z + 1}", color=_INK, fontsize=9, pad=3)
    _scale(figure, axes, overlay)
    figure.suptitle(_title(context), color=_INK, fontsize=12, x=0.012, y=0.975, ha="left", va="top")
    figure.text(0.012, 0.012, RESEARCH_USE_ONLY, color=_INK, fontsize=8)
    figure.savefig(path, format="png", metadata={"Software": None})
    return path


def _slices(context: ResultContext) -> list[int]:
    """The slices of the largest lesions' greatest sections; the middle one where there is no lesion."""
    labels = context.lesion_map.labels
    found: list[int] = []
    for lesion in context.lesions:
        section = np.count_nonzero(labels == lesion.number, axis=(1, 2))
        z = int(section.argmax())
        if z not in found:
            found.append(z)
        if len(found) == SLICES:
            break
    return sorted(found) or [labels.shape[0] // 2]


def _image(axes: Any, context: ResultContext, z: int) -> None:
    volume = context.reference.volume
    low, high = np.percentile(volume.voxels, WINDOW_PERCENTILES)
    x_mm, y_mm, _ = volume.grid.spacing_mm_xyz
    axes.imshow(volume.voxels[z], cmap="gray", vmin=low, vmax=high, aspect=y_mm / x_mm, interpolation="nearest")
    axes.set_axis_off()


def _probability(axes: Any, context: ResultContext, z: int) -> Any:
    probability = np.ma.masked_less(context.probability.voxels[z], OVERLAY[0])
    overlay = axes.imshow(
        probability, cmap=_COLOURS, vmin=OVERLAY[0], vmax=OVERLAY[1], alpha=0.75, aspect="auto", interpolation="nearest"
    )
    x_mm, y_mm, _ = context.probability.grid.spacing_mm_xyz
    axes.set_aspect(y_mm / x_mm)
    for lesion in context.lesions:
        mask = context.lesion_map.labels[z] == lesion.number
        for line in outlines(mask):
            closed = np.vstack([line, line[:1]])
            axes.plot(closed[:, 1], closed[:, 0], color=_OUTLINE, linewidth=0.9)
        if mask.any():
            row, column = np.argwhere(mask).max(axis=0)
            axes.annotate(f"{lesion.tracking_id}  {lesion.long_axis_mm:.0f} mm", (column + 1, row + 1), color=_OUTLINE,
                          fontsize=7.5, ha="left", va="top", clip_on=True)  # fmt: skip
    return overlay


def _scale(figure: Figure, axes: Any, overlay: Any) -> None:
    place = axes[1, -1].get_position()
    bar = figure.colorbar(overlay, cax=figure.add_axes((place.x1 + 0.012, place.y0, 0.014, place.height)))
    bar.set_label("probability of metastasis", color=_INK, fontsize=8)
    bar.ax.tick_params(colors=_INK, labelsize=7)


def _title(context: ResultContext) -> str:
    count = len(context.lesions)
    found = "no metastasis found" if count == 0 else f"{count} metastas{'is' if count == 1 else 'es'}"
    total_ml = sum(lesion.volume_ml for lesion in context.lesions)
    return f"{found}{f', {total_ml:.2f} ml' if count else ''}   |   from {context.sequences}"
