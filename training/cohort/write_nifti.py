"""A synthetic patient in the layout of BrainMetShare's NIfTI release: co-registered, on the reference's grid.

Mets_001/{bravo,t1_pre,t1_gd,flair,seg}.nii.gz     absent sequences have no file; seg 0 or 1
Mets_001/planted.json                              what was planted; written last
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from dicom_node.contract.slots import SequenceSlot
from training.cohort.patient import Options, Patient, co_registered, make_patient
from training.cohort.protocol import Site
from training.cohort.whole import clear, is_whole, write_about, writing
from worker.volume.geometry import Grid

NAMES = {
    SequenceSlot.BRAVO: "bravo",
    SequenceSlot.PRE_CUBE: "t1_pre",
    SequenceSlot.POST_CUBE: "t1_gd",
    SequenceSlot.FLAIR: "flair",
}
_Image: Any = nibabel.Nifti1Image
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_nifti(folder: Path, seed: int, site: Site, options: Options) -> Path:
    """Write one patient's folder; a whole one of the same patient is kept.

    Raises `TrainingError` where the folder holds one of another seed, site or anatomy, or a file cannot be written.
    """
    if is_whole(folder / "planted.json", seed, site, options):
        return folder
    return write_case(folder, make_patient(seed, site, options))


def write_case(folder: Path, patient: Patient) -> Path:
    """Write a patient, co-registered on the reference's native grid; what else bears one of our names goes."""
    clear(folder / "planted.json", (folder / f"{name}.nii.gz" for name in (*NAMES.values(), "seg")))
    grid = patient.volumes[patient.reference].grid
    for slot, volume in co_registered(patient, grid).items():
        _save(folder / f"{NAMES[slot]}.nii.gz", np.clip(np.round(volume.voxels), 0, 32767).astype(np.int16), grid)
    _save(folder / "seg.nii.gz", (patient.truth > 0).astype(np.uint8), grid)
    lesions = [asdict(lesion) for lesion in patient.lesions]
    about = {
        "seed": patient.seed,
        "site": str(patient.protocol.site),
        "source": patient.scene.source,
        "lesions": lesions,
    }
    write_about(folder / "planted.json", about)
    return folder


def _save(path: Path, voxels: NDArray[np.int16] | NDArray[np.uint8], grid: Grid) -> None:
    image = _Image(voxels.transpose(2, 1, 0), _TO_RAS @ grid.affine)
    image.header.set_xyzt_units("mm")
    with writing(path):
        nibabel.save(image, str(path))
