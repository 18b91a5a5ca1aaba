"""A run that was broken off goes on: what is not whole is made anew, without what it left; a full disk is told."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicom_node.contract.slots import SequenceSlot
from training.cohort import cache, write_dicom, write_nifti
from training.cohort.patient import Options, Patient
from training.cohort.protocol import Site
from training.cohort.whole import is_whole, read_about, write_about
from training.errors import TrainingError

FULL = Path("/dev/full")
CUT_OFF = ["", '{"seed": 1, "si', "[]", "\0\0\0"]


@pytest.mark.parametrize("left", CUT_OFF)
def test_a_damaged_file_about_a_patient_says_that_it_is_not_whole(left: str, tmp_path: Path) -> None:
    about = tmp_path / "planted.json"
    about.write_text(left)
    assert read_about(about) is None
    assert not is_whole(about, 1, Site.B, Options())


@pytest.mark.parametrize("left", [None, *CUT_OFF])
def test_nifti_of_another_site_does_not_stay_beside_a_patients_own(
    left: str | None, tmp_path: Path, bare_patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of our names go, others stay, and the second time the patient is whole."""
    patient: Patient = bare_patient(Site.B)
    monkeypatch.setattr(write_nifti, "make_patient", lambda *_: patient)
    monkeypatch.setattr("training.cohort.whole.ONE_HEAD", patient.scene.source)
    for name in ("bravo.nii.gz", "seg.nii.gz", "planted.json.part", "notes.txt"):
        (tmp_path / name).write_bytes(b"cut")
    if left is not None:
        (tmp_path / "planted.json").write_text(left)
    write_nifti.write_nifti(tmp_path, patient.seed, Site.B, Options())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "flair.nii.gz", "notes.txt", "planted.json", "seg.nii.gz", "t1_gd.nii.gz", "t1_pre.nii.gz",
    ]  # fmt: skip
    assert json.loads((tmp_path / "planted.json").read_text())["site"] == "B"
    assert is_whole(tmp_path / "planted.json", patient.seed, Site.B, Options())


def test_the_files_of_a_data_set_that_no_run_began_are_not_touched(
    tmp_path: Path, bare_patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--out is a real BrainMetShare folder by mistake."""
    patient: Patient = bare_patient(Site.B)
    monkeypatch.setattr(write_nifti, "make_patient", lambda *_: patient)
    (tmp_path / "bravo.nii.gz").write_bytes(b"of a person")
    with pytest.raises(TrainingError, match=r"holds bravo\.nii\.gz, which is of no run of this command"):
        write_nifti.write_nifti(tmp_path, patient.seed, Site.B, Options())
    assert [path.name for path in tmp_path.iterdir()] == ["bravo.nii.gz"]
    assert (tmp_path / "bravo.nii.gz").read_bytes() == b"of a person"


@pytest.mark.parametrize("left", [None, *CUT_OFF])
def test_dicom_series_that_were_left_do_not_end_the_run_for_ever(
    left: str | None, tmp_path: Path, bare_patient
) -> None:
    """Those of another site go; a file that is not ours stays, and its folder with it."""
    patient: Patient = bare_patient(Site.B)
    for name in ("400_BRAVO/IM0001.dcm", "002_PRE_CUBE/IM0001.dcm", "002_PRE_CUBE/IM0999.dcm", "003_FLAIR/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"cut")
    if left is not None:
        (tmp_path / "planted.json").write_text(left)
    write_dicom.write_study(tmp_path, patient)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == [
        "002_PRE_CUBE/IM0001.dcm", "003_FLAIR/IM0001.dcm", "003_FLAIR/notes.txt", "005_POST_CUBE/IM0001.dcm",
        "planted.json",
    ]  # fmt: skip
    assert not (tmp_path / "400_BRAVO").exists()
    with pytest.raises(FileExistsError, match="already holds a study"):
        write_dicom.write_study(tmp_path, patient)


def test_a_file_about_a_patient_is_never_there_in_part(tmp_path: Path) -> None:
    """The disk is full when it is written: nothing bears its name."""
    (tmp_path / "planted.json.part").symlink_to(FULL)
    with pytest.raises(TrainingError, match=r"planted\.json cannot be written"):
        write_about(tmp_path / "planted.json", {"seed": 1})
    assert not (tmp_path / "planted.json").exists()


def test_a_full_disk_is_told_with_the_files_name_and_what_to_do(tmp_path: Path, bare_patient) -> None:
    """numpy, gzip and pydicom alike."""
    patient: Patient = bare_patient(Site.B)
    alone = replace(patient, volumes={SequenceSlot.PRE_CUBE: patient.volumes[SequenceSlot.PRE_CUBE]})
    for name in ("stack.npy", "seg.nii.gz", "002_PRE_CUBE/notes.txt", "002_PRE_CUBE/IM0001.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(FULL)
    grid = patient.volumes[SequenceSlot.PRE_CUBE].grid
    series = next(s for s in patient.protocol.series if s.slot is SequenceSlot.PRE_CUBE)
    identity = write_dicom.study_identity(patient)
    for name, write in {
        "stack.npy": lambda: cache._save(tmp_path / "stack.npy", np.zeros(100_000)),
        "seg.nii.gz": lambda: write_nifti._save(tmp_path / "seg.nii.gz", np.zeros((9, 9, 9), dtype=np.uint8), grid),
        "IM0001.dcm": lambda: write_dicom._write_series(tmp_path, identity, alone, series, slice(None)),
    }.items():
        with pytest.raises(TrainingError, match=rf"{name} cannot be written \(.+\): make room there; the same line"):
            write()
