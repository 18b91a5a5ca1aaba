"""Data sets are read as users have them, onto the grid and with the orientation that they have."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from dicom_node.contract.slots import SequenceSlot
from training.cases import brainmetshare, challenge
from training.cases.case import CaseError, CaseFiles, load
from training.prepare import load_cached, open_source, prepare, write_cache

RAS = np.diag([1.0, 1.0, 1.0, 1.0])


def nifti(path: Path, voxels: np.ndarray, affine: np.ndarray = RAS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels.astype(np.float32), affine), path)
    return path


def head(shape: tuple[int, int, int] = (60, 64, 48), value: float = 100.0) -> np.ndarray:
    x, y, z = np.ogrid[: shape[0], : shape[1], : shape[2]]
    centre = [n / 2 for n in shape]
    inside = sum(((axis - c) / (0.8 * c)) ** 2 for axis, c in zip((x, y, z), centre, strict=True)) < 1
    return np.where(inside, value, 0.0)


def lesion(shape: tuple[int, int, int] = (60, 64, 48)) -> np.ndarray:
    mask = np.zeros(shape)
    mask[20:26, 30:36, 25:31] = 1
    return mask


def test_brainmetshare_nifti_is_read_with_what_is_there(tmp_path: Path) -> None:
    for name in ("bravo", "t1_gd", "flair"):
        nifti(tmp_path / "train" / "Mets_001" / f"{name}.nii.gz", head())
    nifti(tmp_path / "train" / "Mets_001" / "seg.nii.gz", lesion())
    nifti(tmp_path / "train" / "Mets_002" / "flair.nii.gz", head())
    found = brainmetshare.list_nifti(tmp_path)
    assert [case.name for case in found] == ["Mets_001", "Mets_002"]
    assert list(found[0].sequences) == [SequenceSlot.BRAVO, SequenceSlot.POST_CUBE, SequenceSlot.FLAIR]
    assert found[1].mask is None
    case = load(found[0])
    assert case.reference is SequenceSlot.BRAVO
    assert case.truth is not None
    assert case.truth.sum() == 216


def test_the_truth_lies_where_it_lay_in_patient_millimetres(tmp_path: Path) -> None:
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    affine[:3, 3] = (30, -20, 5)
    files = CaseFiles(
        name="a",
        sequences={SequenceSlot.FLAIR: nifti(tmp_path / "flair.nii.gz", head(), affine)},
        mask=nifti(tmp_path / "seg.nii.gz", lesion(), affine),
    )
    case = load(files)
    assert case.truth is not None
    centroid = case.volumes[SequenceSlot.FLAIR].grid.to_mm(np.argwhere(case.truth).mean(axis=0))
    ras = affine @ np.array([22.5, 32.5, 27.5, 1])
    np.testing.assert_allclose(centroid, ras[:3] * (-1, -1, 1), atol=1e-6)


def test_a_mask_on_a_foreign_grid_is_refused_by_name(tmp_path: Path) -> None:
    files = CaseFiles(
        name="a",
        sequences={SequenceSlot.FLAIR: nifti(tmp_path / "flair.nii.gz", head())},
        mask=nifti(tmp_path / "seg.nii.gz", lesion((60, 64, 47))),
    )
    with pytest.raises(CaseError, match=r"seg\.nii\.gz lies on the grid of none"):
        load(files)


def test_a_file_that_is_no_nifti_is_named(tmp_path: Path) -> None:
    (tmp_path / "flair.nii.gz").write_bytes(b"nothing")
    with pytest.raises(CaseError, match=r"flair\.nii\.gz cannot be read"):
        load(CaseFiles(name="a", sequences={SequenceSlot.FLAIR: tmp_path / "flair.nii.gz"}, mask=None))


def test_brainmetshare_png_slices_are_ordered_by_number(tmp_path: Path) -> None:
    for name in ("0", "3", "seg"):
        folder = tmp_path / "Mets_005" / name
        folder.mkdir(parents=True)
        for number in (2, 10, 1):
            level = (255 if number == 10 else 0) if name == "seg" else number
            Image.fromarray(np.full((256, 256), level, np.uint8)).save(folder / f"{number}.png")
    (folder_of_patient,) = brainmetshare.list_png(tmp_path)
    case = brainmetshare.load_png(folder_of_patient)
    assert [float(z[0, 0]) for z in case.volumes[SequenceSlot.BRAVO].voxels] == [1, 2, 10]
    assert case.truth is not None
    assert case.truth.any(axis=(1, 2)).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("prefix", "names", "labels"),
    [
        ("BraTS-MET-00086-000", ("-t1n", "-t1c", "-t2f", "-seg"), (1, 3)),
        ("Brats18_TCIA_1", ("_t1", "_t1ce", "_flair", "_seg"), (1, 4)),
    ],
)
def test_brats_core_is_the_target_and_the_user_says_what_post_gd_is(
    tmp_path: Path, prefix: str, names: tuple[str, ...], labels: tuple[int, ...]
) -> None:
    for name in names:
        nifti(tmp_path / prefix / f"{prefix}{name}.nii.gz", head())
    (case,) = challenge.list_brats(tmp_path, challenge.SlotChoice(post=SequenceSlot.POST_CUBE))
    assert list(case.sequences) == [SequenceSlot.PRE_CUBE, SequenceSlot.POST_CUBE, SequenceSlot.FLAIR]
    assert case.lesion_labels == labels
    (without,) = challenge.list_brats(tmp_path, challenge.SlotChoice(use_pre=False))
    assert list(without.sequences) == [SequenceSlot.BRAVO, SequenceSlot.FLAIR]


def test_ucsf_and_bids_layouts(tmp_path: Path) -> None:
    for name in ("T1pre", "T1post", "FLAIR", "seg"):
        nifti(tmp_path / "ucsf" / "100101A" / f"100101A_{name}.nii.gz", head())
    (case,) = challenge.list_ucsf(tmp_path / "ucsf", challenge.SlotChoice())
    assert set(case.sequences) == {SequenceSlot.BRAVO, SequenceSlot.PRE_CUBE, SequenceSlot.FLAIR}
    anatomy = tmp_path / "bids" / "sub-01" / "anat"
    for name in ("sub-01_T1w", "sub-01_ce-gadolinium_T1w", "sub-01_FLAIR"):
        nifti(anatomy / f"{name}.nii.gz", head())
    nifti(tmp_path / "bids" / "derivatives" / "manual" / "sub-01" / "anat" / "sub-01_mask.nii.gz", lesion())
    (subject,) = challenge.list_bids(tmp_path / "bids", challenge.SlotChoice())
    assert subject.sequences[SequenceSlot.BRAVO].name == "sub-01_ce-gadolinium_T1w.nii.gz"
    assert subject.mask is not None


@pytest.mark.parametrize("kind", ["cache", "brainmetshare", "brainmetshare-png", "brats", "ucsf", "bids"])
def test_an_empty_folder_is_refused_with_what_was_looked_for(kind: str, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"no "):
        open_source(kind, tmp_path)


def test_a_prepared_patient_survives_the_cache(tmp_path: Path) -> None:
    files = CaseFiles(
        name="p1",
        sequences={
            SequenceSlot.POST_CUBE: nifti(tmp_path / "post.nii.gz", head()),
            SequenceSlot.FLAIR: nifti(tmp_path / "flair.nii.gz", head(value=50)),
        },
        mask=nifti(tmp_path / "seg.nii.gz", lesion()),
    )
    patient = prepare(load(files))
    assert patient.present == (False, False, True, True)
    assert patient.stack.shape[0] == 4
    assert not patient.stack[0].any()
    cached = load_cached(write_cache(patient, tmp_path / "cache"))
    assert cached.present == patient.present
    np.testing.assert_allclose(cached.stack, patient.stack, rtol=2e-3)
    assert cached.truth is not None
    volume = cached.truth.sum() * cached.grid.voxel_volume_mm3
    assert volume == pytest.approx(216, rel=0.25)
