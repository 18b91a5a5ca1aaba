"""Data sets as users have them, from their folders to batches: nested, with runs and sessions, sequences missing."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from dicom_node.contract.slots import SequenceSlot
from model.channels import SLICES
from training.cases import brainmetshare, challenge, layouts
from training.cases.case import CaseError, load
from training.configuration import Configuration
from training.patients import open_patients
from training.prepare import main, open_source
from training.sampling import Steps

BRAVO, PRE, POST, FLAIR = SequenceSlot
SHAPE = (48, 52, 40)
pytestmark = pytest.mark.timeout(600)
"""On a busy machine."""


def ball(radius: float, middle: tuple[float, float, float] = (24, 26, 20)) -> np.ndarray:
    x, y, z = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return (x - middle[0]) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2 < radius**2


HEAD = (ball(18) * 100 + np.random.default_rng(0).random(SHAPE)).astype(np.float32)
LESION = ball(3, (20, 30, 22)).astype(np.uint8)


def nifti(path: Path, voxels: np.ndarray = HEAD) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-3.0, -3.0, 3.0, 1.0])), path)


def png_patient(folder: Path, sequences: str, mask: bool = True) -> None:
    """200 slices named as the release names them are not needed: 12 with a lesion in the middle."""
    y, x = np.ogrid[:256, :256]
    brain = (y - 128) ** 2 + (x - 128) ** 2 < 70**2
    lesion = (y - 110) ** 2 + (x - 140) ** 2 < 6**2
    for name in sequences:
        (folder / name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray((brain * (80 + 10 * int(name))).astype(np.uint8)).save(folder / name / f"{number:03d}.png")
    if mask:
        (folder / "seg").mkdir()
        for number in range(12):
            shown = lesion & (4 <= number < 8)
            Image.fromarray((shown * 255).astype(np.uint8)).save(folder / "seg" / f"{number:03d}.png")


def test_the_png_release_trains_and_its_test_set_has_no_truth(tmp_path: Path) -> None:
    png_patient(tmp_path / "mets_stanford_releaseMask_train" / "Mets_005", "0123")
    png_patient(tmp_path / "mets_stanford_releaseMask_train" / "Mets_010", "013")
    png_patient(tmp_path / "mets_stanford_release_test" / "Mets_001", "0123", mask=False)
    source = open_source("brainmetshare-png", tmp_path / "mets_stanford_releaseMask_train")
    whole, without_post = source
    assert (whole.present, without_post.present) == ((True,) * 4, (True, True, False, True))
    assert whole.truth is not None
    assert [whole.truth_on_model_grid()[z].any() for z in (3, 4, 7, 8)] == [False, True, True, False]
    assert np.array_equal(np.unique(whole.stack[3]), [0, 110])
    (untold,) = open_source("brainmetshare-png", tmp_path / "mets_stanford_release_test")
    assert untold.truth is None


def test_png_sequences_of_different_length_are_refused_by_name(tmp_path: Path) -> None:
    png_patient(tmp_path / "Mets_007", "03")
    (tmp_path / "Mets_007" / "3" / "011.png").unlink()
    with pytest.raises(CaseError, match="Mets_007: the sequences have different numbers"):
        brainmetshare.load_png(tmp_path / "Mets_007")


def test_nifti_of_brainmetshare_lies_in_train(tmp_path: Path) -> None:
    for name in ("bravo", "t1_pre", "t1_gd", "flair", "seg"):
        nifti(tmp_path / "train" / "Mets_001" / f"{name}.nii.gz", LESION if name == "seg" else HEAD)
    nifti(tmp_path / "test" / "Mets_002" / "bravo.nii.gz")
    untold, first = brainmetshare.list_nifti(tmp_path)
    assert set(first.sequences) == set(SequenceSlot)
    assert (untold.mask, set(untold.sequences)) == (None, {BRAVO})


def test_brats_mets_takes_necrosis_and_enhancement_and_leaves_oedema_and_cavity(tmp_path: Path) -> None:
    name = "BraTS-MET-00086-000"
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for label in (1, 2, 3, 4):
        labels[10 * label - 5, 20, 20] = label
    for ending in ("t1n", "t1c", "t2w", "t2f"):
        nifti(tmp_path / name / f"{name}-{ending}.nii.gz")
    nifti(tmp_path / name / f"{name}-seg.nii.gz", labels)
    (files,) = challenge.list_brats(tmp_path, challenge.SlotChoice())
    assert set(files.sequences) == {BRAVO, PRE, FLAIR}
    case = load(files)
    assert case.truth is not None
    assert {int(x) for _, _, x in np.argwhere(case.truth)} == {5, 25}


def test_ucsf_takes_its_own_mask_and_neither_the_subtraction_nor_that_of_brats(tmp_path: Path) -> None:
    folder = tmp_path / "UCSF_BrainMetastases_TRAIN" / "100101A"
    for ending in ("T1pre", "T1post", "T2Synth", "FLAIR", "subtraction"):
        nifti(folder / f"100101A_{ending}.nii.gz")
    nifti(folder / "100101A_seg.nii.gz", LESION)
    nifti(folder / "100101A_BraTS-seg.nii.gz", LESION * 3)
    (files,) = challenge.list_ucsf(tmp_path, challenge.SlotChoice(post=POST))
    assert {slot: path.name for slot, path in files.sequences.items()} == {
        PRE: "100101A_T1pre.nii.gz",
        POST: "100101A_T1post.nii.gz",
        FLAIR: "100101A_FLAIR.nii.gz",
    }
    assert files.mask == folder / "100101A_seg.nii.gz"


def test_bids_with_sessions_runs_and_derivatives(tmp_path: Path) -> None:
    root = tmp_path / "derivatives" / "bids"  # where the set itself lies does not matter
    anatomy = root / "sub-01" / "ses-02" / "anat"
    stem = "sub-01_ses-02"
    for ending in ("T1w", "ce-gadolinium_run-02_T1w", "ce-gadolinium_run-01_T1w", "T2w", "FLAIR"):
        nifti(anatomy / f"{stem}_{ending}.nii.gz")
        (anatomy / f"{stem}_{ending}.json").write_text("{}")
    manual = root / "derivatives" / "manual" / "sub-01" / "ses-02" / "anat"
    nifti(manual / f"{stem}_desc-brain_mask.nii.gz", ball(18).astype(np.uint8))
    nifti(manual / f"{stem}_label-lesion_mask.nii.gz", LESION)
    nifti(root / "sub-02" / "anat" / "sub-02_T1w.nii.gz")
    first, second = challenge.list_bids(root, challenge.SlotChoice(post=POST))
    assert (first.name, second.name) == ("sub-01_ses-02", "sub-02")
    assert first.sequences[POST].name == f"{stem}_ce-gadolinium_run-01_T1w.nii.gz"
    assert first.sequences[PRE].name == f"{stem}_T1w.nii.gz"
    assert set(first.sequences) == {PRE, POST, FLAIR}
    assert first.mask == manual / f"{stem}_label-lesion_mask.nii.gz"
    assert (set(second.sequences), second.mask) == ({PRE}, None)


def test_a_set_without_a_sequence_trains_with_it_always_dropped(tmp_path: Path) -> None:
    """From files by the command line to batches: the slot that no patient has is zero in every sample."""
    for number in (1, 2):
        name = f"BraTS-MET-0000{number}-000"
        for ending in ("t1n", "t1c", "t2f"):
            nifti(tmp_path / "set" / name / f"{name}-{ending}.nii.gz")
        nifti(tmp_path / "set" / name / f"{name}-seg.nii.gz", LESION)
    options = ["--cases", "brats", str(tmp_path / "set"), "--post-gd", "POST_CUBE", "--out", str(tmp_path / "out")]
    assert main(options) == 0
    patients = open_patients(tmp_path / "out")
    assert {patient.available for patient in patients} == {(False, True, True, True)}
    steps = Steps(patients, Configuration(batch=8, crop_px=32, full_share=0, lesion_share=1))
    filled = [steps[n].inputs.unflatten(1, (4, SLICES)).abs().amax(dim=(2, 3, 4)) > 0 for n in range(4)]
    assert not any(one[:, 0].any() for one in filled)
    assert all(any(bool(one[:, slot].any()) for one in filled) for slot in (1, 2, 3))
    assert all(one.any(1).all() for one in filled)


@pytest.mark.parametrize("layout", ["brainmetshare", "brats"])
def test_two_patients_of_one_name_are_refused_and_neither_overwrites_the_other(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for site in ("first", "second"):
        folder = tmp_path / "set" / site / "Mets_001"
        nifti(folder / ("bravo.nii.gz" if layout == "brainmetshare" else "Mets_001-t1c.nii.gz"))
    assert main(["--cases", layout, str(tmp_path / "set"), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "two patients are called Mets_001" in said
    assert "rename one" in said
    assert list((tmp_path / "out").iterdir()) == []


def test_help_names_the_files_and_labels_that_the_readers_take(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert layouts.TABLE in said
    rows = [line.split() for line in layouts.TABLE.splitlines() if line.startswith("  ")]
    assert {row[0] for row in rows} == {"layout", *layouts.KINDS}
    assert ["brats", "*-t1c", "*-t1n", "*-t2f", "*-seg", "1,", "3"] in rows
    assert ["brainmetshare", "bravo,", "t1_gd", "t1_pre", "flair", "seg", "all", "but", "0"] in rows
    assert "Post-Gd T1 stands for BRAVO (gradient echo) unless --post-gd says otherwise" in said
    assert max(len(line) for line in layouts.TABLE.splitlines()) <= 100


def files_of(row: str) -> list[str]:
    """Names as a row of the table has them, as files of one patient."""
    cells = [cell for cell in row.split("  ") if cell.strip()][1:5]
    ends = [cell.split(", ")[0].strip() for cell in cells]
    return [end.replace("*_ce-*", "*_ce-gd").replace("*", "sub-01") + ".nii.gz" for end in ends]


@pytest.mark.parametrize("number", [0, 2, 3, 4, 5])
def test_a_patient_named_as_in_the_table_is_found_with_its_mask(number: int, tmp_path: Path) -> None:
    row = [line for line in layouts.TABLE.splitlines() if line.startswith("  ")][1:][number]
    for name in files_of(row):
        nifti(tmp_path / "Mets_001" / "anat" / name, LESION if "seg" in name or "mask" in name else HEAD)
    if row.split()[0] == "brainmetshare":
        (tmp_path / "Mets_001" / "anat").rename(tmp_path / "Mets_002")
    (patient,) = open_source(row.split()[0], tmp_path)
    assert patient.present == (True, True, False, True)
    assert patient.truth is not None
    assert patient.truth.sum() == LESION.sum()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("brainmetshare", "seg.nii.gz beside the sequences"),
        ("brainmetshare-png", "seg/*.png beside the sequences"),
        ("brats", "*-seg.nii.gz or *_seg.nii.gz beside the sequences"),
        ("ucsf", "*_seg.nii.gz beside the sequences"),
        ("bids", "*_mask.nii.gz or *_dseg.nii.gz or *_seg.nii.gz beside the sequences or in derivatives/*/"),
    ],
)
def test_it_is_told_what_a_mask_is_called(kind: str, words: str) -> None:
    assert layouts.mask_sought(kind) == words
