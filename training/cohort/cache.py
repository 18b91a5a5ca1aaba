"""Patients on the model's grid as memory-mappable files: what training reads.

    DIR/NNNN/stack.npy   (4, Z, 256, 256) float16, slots in the order of model.channels.SEQUENCES, absent ones zero;
                         not normalised; a volume's 99.9th percentile is scaled to 1000
    DIR/NNNN/mask.npy    (Z, 256, 256) uint8, 1 the metastases (enhancing part and necrotic core)
    DIR/NNNN/brain.npy   (Z, 256, 256) uint8, 1 the brain's tissue with the lesions
    DIR/NNNN/meta.json   seed, site, present (4 booleans), stripped, source, lesions as planted

A folder is complete when meta.json is there: it is written last.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from model.channels import SEQUENCES
from training.cohort.patient import Options, brain_on, make_model_grid_patient
from training.cohort.protocol import Site
from training.cohort.whole import is_whole
from training.half_precision import to_float16


def write_cached(folder: Path, seed: int, site: Site, options: Options) -> Path:
    """Write one patient's folder; a whole one of the same patient is kept.

    Raises `TrainingError` where the folder holds one of another seed, site or anatomy.
    """
    if is_whole(folder / "meta.json", seed, site, options):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    stacked, mask, grid, patient = make_model_grid_patient(seed, site, options)
    np.save(folder / "stack.npy", to_float16(stacked))
    np.save(folder / "mask.npy", mask)
    np.save(folder / "brain.npy", brain_on(patient, grid))
    meta = {
        "seed": seed,
        "site": str(site),
        "present": [name in patient.volumes for name in SEQUENCES],
        "stripped": patient.protocol.stripped,
        "source": patient.scene.source,
        "lesions": [asdict(lesion) for lesion in patient.lesions],
    }
    partial = folder / "meta.json.part"
    partial.write_text(json.dumps(meta, indent=1))
    partial.rename(folder / "meta.json")
    return folder
