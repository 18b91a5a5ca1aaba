"""`python -m training.cohort` with several processes: it runs as it is typed, and their number changes no byte."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dicom_node.contract.slots import SequenceSlot
from training.cohort.__main__ import main
from training.cohort.anatomy import ONE_HEAD
from training.cohort.cache import write_cached
from training.cohort.crew import Writer, run
from training.cohort.patient import Options
from training.cohort.protocol import Site
from training.cohort.write_nifti import write_nifti
from training.errors import TrainingError

pytestmark = pytest.mark.timeout(900)
"""On a busy machine a patient takes its time."""
ALL_LEFT_OUT = [typed for slot in SequenceSlot for typed in ("--without", slot)]
_SHELLS = ((70, 511), (64, 515), (58, 24), (55, 3), (46, 2))
"""Radius in mm and label: skin, bone, fluid, grey and white matter."""


def cohort(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, two patients by two processes."""
    typed = [sys.executable, "-m", "training.cohort", "cache", "--patients", "2", "--jobs", "2", "--out", str(out)]
    return subprocess.run([*typed, *options], capture_output=True, text=True, check=False)


def test_two_processes_find_their_work(tmp_path: Path) -> None:
    """Patients that are whole already are kept, so that nothing is told here but that a process got its patient."""
    for name in ("0000", "0001"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "meta.json").write_text("{}")
    told = cohort(tmp_path)
    assert told.returncode == 0, told.stderr
    assert "2/2" in told.stdout


def test_a_failure_in_a_process_ends_the_run_and_is_told(tmp_path: Path) -> None:
    """The map's header tells nothing: a process finds that it holds no brain."""
    nibabel.save(nibabel.Nifti1Image(np.zeros((24, 24, 24), dtype=np.int16), np.eye(4)), tmp_path / "map.nii.gz")
    told = cohort(tmp_path / "out", "--anatomy", str(tmp_path))
    assert told.returncode == 2
    assert told.stderr.startswith(f"training.cohort: --anatomy: {tmp_path}/map.nii.gz cannot be used (no brain in it)")
    assert told.stderr.count("\n") == 1


class Deadly:
    """A writer that kills the process which unpacks it, as the system does with one that takes too much memory."""

    def __call__(self, folder: Path, seed: int, site: Site, options: Options) -> Path:
        raise NotImplementedError

    def __reduce__(self) -> tuple[object, ...]:
        return signal.raise_signal, (signal.SIGKILL,)


def test_a_killed_process_is_told_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"a process was killed, .*fewer --jobs; the same line goes on"):
        run(Deadly(), [(tmp_path / "0000", 1)], Site.B, Options(), jobs=2)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["cache", "--out", "file/out"], "--out file/out cannot be made: Not a directory"),
        (["nifti", "--out", "file/out"], "--out file/out cannot be made: Not a directory"),
        (["pictures", "--out", "file/page.png"], "--out file cannot be made: File exists"),
        (["dicom", "--out", "out", "--anatomy", "nowhere"], "--anatomy nowhere: no label maps (*.nii.gz) there"),
        (["dicom", "--out", "out", *ALL_LEFT_OUT], "no series is left of site A: leave out fewer"),
        (["dicom", "--out", "study"], "study already holds a study"),
        (["pictures", "--out", "study"], "--out study: give the name of a file that ends in .png or .pdf"),
        (["pictures", "--out", "page.jpg"], "--out page.jpg: give the name of a file that ends in .png or .pdf"),
        (["pictures", "--out", "maps.png"], "--out maps.png: give the name of a file that ends in .png or .pdf"),
    ],
)
def test_what_cannot_be_used_is_one_plain_line(
    typed: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "planted.json").write_text("{}")
    (tmp_path / "maps.png").mkdir()
    assert main(typed) == 2
    assert capsys.readouterr().err == f"training.cohort: {words}\n"


def test_a_seed_below_0_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["cache", "--out", "out", "--seed", "-3"])
    assert ended.value.code == 2
    assert "--seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"seed": 99, "site": "B", "source": ONE_HEAD}, "another patient (seed 99, site B, head nilearn"),
        ({"seed": 1, "site": "A", "source": ONE_HEAD}, "another patient (seed 1, site A, head nilearn"),
        ({"seed": 1, "site": "B", "source": "ball.nii.gz"}, "another patient (seed 1, site B, head ball.nii.gz)"),
    ],
)
@pytest.mark.parametrize(("writer", "about"), [(write_cached, "meta.json"), (write_nifti, "planted.json")])
def test_a_folder_of_another_patient_is_not_kept(
    tmp_path: Path, writer: Writer, about: str, kept: object, words: str
) -> None:
    (tmp_path / about).write_text(json.dumps(kept))
    with pytest.raises(TrainingError, match=re.escape(words)):
        writer(tmp_path, 1, Site.B, Options())


def test_a_whole_folder_of_the_same_patient_is_kept(tmp_path: Path) -> None:
    maps = ball(tmp_path / "maps")
    (tmp_path / "meta.json").write_text(json.dumps({"seed": 1, "site": "B", "source": "ball.nii.gz"}))
    assert write_cached(tmp_path, 1, Site.B, Options(anatomy=maps)) == tmp_path
    assert not (tmp_path / "stack.npy").exists()


@pytest.mark.slow
def test_the_number_of_processes_changes_no_byte(tmp_path: Path) -> None:
    options = Options(anatomy=ball(tmp_path / "maps"), lesions=2, without=(SequenceSlot.PRE_CUBE, SequenceSlot.FLAIR))
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    run(write_cached, [(alone, 11)], Site.B, options, jobs=1)
    run(write_cached, [(beside, 11)], Site.B, options, jobs=2)
    written = {path.name: path.read_bytes() for path in alone.iterdir()}
    assert set(written) == {"stack.npy", "mask.npy", "brain.npy", "meta.json"}
    assert np.load(alone / "mask.npy").any()
    assert written == {path.name: path.read_bytes() for path in beside.iterdir()}


def ball(folder: Path) -> Path:
    """A folder with one coarse label map: quick to load."""
    folder.mkdir()
    axis = np.arange(50) * 4.0 - 98
    radius = np.sqrt((axis[:, None, None] / 0.9) ** 2 + (axis[:, None] / 1.1) ** 2 + axis**2)
    labels = np.zeros(radius.shape, dtype=np.int16)
    for limit, label in _SHELLS:
        labels[radius < limit] = label
    nibabel.save(nibabel.Nifti1Image(labels, np.diag([4.0, 4.0, 4.0, 1.0])), folder / "ball.nii.gz")
    return folder
