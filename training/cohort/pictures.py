"""A page of patients to look at: a row each, the slice of the largest lesion and one through vessels."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from model.channels import SEQUENCES
from training.cohort.patient import Options, make_model_grid_patient
from training.cohort.protocol import Site
from training.errors import TrainingError

_SUFFIXES = (".png", ".pdf")


def require_page(path: Path) -> None:
    """Raises `TrainingError` where the page cannot have this name: found before the patients are made."""
    if path.suffix.lower() not in _SUFFIXES or path.is_dir():
        raise TrainingError(f"--out {path}: give the name of a file that ends in {' or '.join(_SUFFIXES)}")


def write_pictures(path: Path, seeds: list[int], site: Site, options: Options) -> None:
    """Write a PNG or PDF: four sequences with the outline, the truth's slice, and a second slice of post-Gd images."""
    columns = len(SEQUENCES) + 3
    figure = Figure(figsize=(3 * columns, 3.1 * len(seeds)), layout="constrained")
    axes = figure.subplots(len(seeds), columns, squeeze=False)
    for row, seed in zip(axes, seeds, strict=True):
        stacked, mask, _, patient = make_model_grid_patient(seed, site, options)
        level = int(np.argmax(mask.sum(axis=(1, 2))))
        other = int(np.clip(level + (35 if level < len(mask) // 2 else -35), 0, len(mask) - 1))
        for axis, name, channel in zip(row, SEQUENCES, stacked, strict=False):
            top = float(np.percentile(channel, 99.7)) or 1.0
            axis.imshow(channel[level], cmap="gray", vmin=0, vmax=top)
            axis.contour(mask[level], [0.5], colors="red", linewidths=0.6) if name == "POST_CUBE" else None
            axis.set_title(f"{seed} {name}", fontsize=8)
        for axis, index in ((row[4], 0), (row[5], 2)):
            axis.imshow(
                stacked[index, other], cmap="gray", vmin=0, vmax=float(np.percentile(stacked[index], 99.7)) or 1.0
            )
        row[6].imshow(
            stacked[3][::-1, :, 128],
            cmap="gray",
            vmin=0,
            vmax=float(np.percentile(stacked[3], 99.7)) or 1.0,
            aspect=1 / 0.9375,
        )
        sizes = " ".join(f"{les.diameter_mm:.0f}" for les in patient.lesions)
        row[4].set_title(f"{len(patient.lesions)} lesions, mm: {sizes}", fontsize=7)
        row[5].set_title(f"{patient.protocol.vendor} {patient.protocol.field_t} T", fontsize=7)
        for axis in row:
            axis.set_axis_off()
    figure.savefig(path, dpi=70)
