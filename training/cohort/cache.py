"""Patients on the model's grid as memory-mappable files: what training reads.

    DIR/NNNN/stack.npy   (4, Z, 256, 256) float16, slots in the order of model.channels.SEQUENCES, absent ones zero;
                         not normalised; a volume's 99.9th percentile is scaled to 1000
    DIR/NNNN/mask.npy    (Z, 256, 256) uint8, 1 the metastases (enhancing part and necrotic core)
    DIR/NNNN/brain.npy   (Z, 256, 256) uint8, 1 the brain's tissue with the lesions
    DIR/NNNN/meta.json   seed, site, present (4 booleans), stripped, source, lesions as planted

A folder is complete when meta.json is there: it is written last.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.channels import SEQUENCES
from training.cohort.patient import Options, brain_on, make_model_grid_patient
from training.cohort.protocol import Site
from training.cohort.whole import clear, is_whole, write_about, writing
from training.half_precision import to_float16


def write_cached(folder: Path, seed: int, site: Site, options: Options) -> Path:
    """Write one patient's folder; a whole one of the same patient is kept.

    Raises `TrainingError` where the folder holds one of another seed, site or anatomy, or a file cannot be written.
    """
    about = folder / "meta.json"
    if is_whole(about, seed, site, options):
        return folder
    clear(about, (folder / name for name in ("stack.npy", "mask.npy", "brain.npy")))
    stacked, mask, grid, patient = make_model_grid_patient(seed, site, options)
    _save(folder / "stack.npy", to_float16(stacked))
    _save(folder / "mask.npy", mask)
    _save(folder / "brain.npy", brain_on(patient, grid))
    meta = {
        "seed": seed,
        "site": str(site),
        "present": [name in patient.volumes for name in SEQUENCES],
        "stripped": patient.protocol.stripped,
        "source": patient.scene.source,
        "lesions": [asdict(lesion) for lesion in patient.lesions],
    }
    write_about(about, meta)
    return folder


def _save(path: Path, array: NDArray[Any]) -> None:
    with writing(path):
        np.save(path, array)
