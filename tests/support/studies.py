"""Small studies that the whole node processes in seconds: heads of thick slices with bright balls in them, as files.

    study = write_study(tmp_path / "study", patient="P1", sequences=("BRAVO", "FLAIR"))
    study.files, study.study_uid

Equal arguments give equal bytes. With the weights of support.firing_weights each ball is found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from support.dicom_objects import mr_series, uid, write
from support.heads import axial_grid, synthetic_head

SHAPE_ZYX = (24, 64, 56)
SPACING_MM_ZYX = (5.0, 3.2, 3.2)
BALLS_MM = ((30.0, 10.0, 30.0), (-25.0, -30.0, 25.0))
"""Centres of the bright balls, LPS."""
BALL_RADIUS_MM = 8.0
BALL_SIGNAL = 4500.0


@dataclass(frozen=True, kw_only=True)
class WrittenStudy:
    """A study on disk."""

    study_uid: str
    series: Mapping[str, tuple[Path, ...]]

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(path for paths in self.series.values() for path in paths)


def write_study(
    folder: Path,
    *,
    patient: str = "P1",
    study: str = "1",
    sequences: Sequence[str] = ("BRAVO", "FLAIR"),
    patient_name: str = "Doe^Jane",
    headers: Mapping[str, Any] | None = None,
) -> WrittenStudy:
    """Write one series a sequence. Series of one patient and study meet, whenever they are written."""
    study_uid = uid("small study", patient, study)
    series = {}
    for sequence in sequences:
        made = mr_series(
            sequence,
            voxels=head_with_balls(sequence, seed=hash_of(patient)),
            shape_zyx=SHAPE_ZYX,
            spacing_mm_zyx=SPACING_MM_ZYX,
            origin_mm=origin_mm(),
            patient_id=patient,
            patient_name=patient_name,
            study_uid=study_uid,
            headers=headers,
        )
        series[sequence] = tuple(write(made, folder / sequence.lower()))
    return WrittenStudy(study_uid=study_uid, series=series)


def head_with_balls(sequence: str, *, seed: int) -> np.ndarray:
    """(Z, Y, X) uint16."""
    grid = axial_grid(SHAPE_ZYX, SPACING_MM_ZYX)
    volume = synthetic_head(sequence, seed=seed, grid=grid)
    points = grid.to_mm(np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE_ZYX], indexing="ij"), axis=-1))
    voxels = volume.voxels.copy()
    for centre in BALLS_MM:
        voxels[np.linalg.norm(points - np.array(centre), axis=-1) < BALL_RADIUS_MM] = BALL_SIGNAL
    return voxels.clip(0, 65535).astype(np.uint16)


def origin_mm() -> tuple[float, float, float]:
    """Centre of the first voxel, so that the volume is centred on the origin."""
    z, y, x = (-(n - 1) * s / 2 for n, s in zip(SHAPE_ZYX, SPACING_MM_ZYX, strict=True))
    return x, y, z


def hash_of(text: str) -> int:
    """A seed that depends on the text only."""
    return int.from_bytes(text.encode()[-6:], "big")


def shuffled(paths: Sequence[Path], seed: int) -> list[Path]:
    """The files in another order, the same for each seed."""
    order = np.random.default_rng(seed).permutation(len(paths))
    return [paths[number] for number in order]
