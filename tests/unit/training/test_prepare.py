"""Between a data set and its patients: the truth moves with its sequence, and what is unusable is named, never used."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from support.heads import GRID, axial_grid, rigid, synthetic_head
from support.patients import write_patient

import worker.align
from dicom_node.contract.slots import SequenceSlot
from training.cases.case import CaseError, CaseFiles, load
from training.cases.told import Told
from training.patients import patient_folders
from training.prepare import Patient, load_cached, main, open_source, prepare
from worker.volume.alignment import Alignment
from worker.volume.geometry import Grid, Volume
from worker.volume.register import QUICK, register
from worker.volume.resample import IDENTITY

pytestmark = pytest.mark.timeout(600)
"""On a busy machine."""
BRAVO, PRE, POST, FLAIR = SequenceSlot
SLAB = axial_grid((12, 56, 48), (2.0, 4.0, 4.0))
"""Where nothing is registered: small and so quick."""
FLAIR_GRID = axial_grid((96, 100, 88), (2.1, 2.2, 2.2))
MOVED = rigid((12, -5, 4), (0, 4, 6))
LESION_MM = np.array([-20.0, 10.0, 24.0])
MOVED_LESION_MM = (MOVED @ [*LESION_MM, 1])[:3]


def ball(grid: Grid, middle_mm: np.ndarray, radius_mm: float = 6) -> np.ndarray:
    points = grid.to_mm(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape_zyx], indexing="ij"), axis=-1))
    return np.linalg.norm(points - middle_mm, axis=-1) < radius_mm


def write(path: Path, voxels: np.ndarray, grid: Grid) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine
    nibabel.save(nibabel.Nifti1Image(voxels.astype(np.float32).T, affine), path)
    return path


def centre_mm(mask: np.ndarray, grid: Grid) -> np.ndarray:
    return grid.to_mm(np.argwhere(mask).mean(axis=0))


HEAD = np.where(ball(SLAB, np.zeros(3), 80), 100.0, 0.0)
LESION = ball(SLAB, np.array([-20, 0, 0]))


def write_bids(root: Path, flair: Volume) -> None:
    """Post-Gd T1, and FLAIR on another grid with the mask."""
    anatomy = root / "sub-01" / "ses-02" / "anat"
    write(anatomy / "sub-01_ses-02_ce-gadolinium_T1w.nii.gz", synthetic_head("POST_CUBE", seed=3).voxels, GRID)
    write(anatomy / "sub-01_ses-02_FLAIR.nii.gz", flair.voxels, flair.grid)
    write(anatomy / "sub-01_ses-02_mask.nii.gz", ball(flair.grid, MOVED_LESION_MM), flair.grid)


def refusing(fixed: Volume, moving: Volume) -> tuple[Alignment, str]:
    return Alignment(transform=IDENTITY, quality={}, seconds=0), "the heads differ"


def write_mets(root: Path, sequences: dict[int, str], masks: dict[int, np.ndarray]) -> None:
    """Patients Mets_00N in `root`/set with a letter a sequence: b, p, g, f."""
    for number, letters in sequences.items():
        folder = root / "set" / f"Mets_00{number}"
        for name in ("bravo", "pre", "gd", "flair"):
            if name[0] in letters:
                write(folder / f"{name if name[0] in 'bf' else f't1_{name}'}.nii.gz", HEAD, SLAB)
        if number in masks:
            write(folder / "seg.nii.gz", masks[number], SLAB)


def prepared(root: Path, *options: str) -> int:
    return main(["--cases", "brainmetshare", str(root / "set"), "--out", str(root / "out"), *options])


def test_the_truth_is_moved_with_the_sequence_that_it_was_drawn_on(tmp_path: Path) -> None:
    write_bids(tmp_path, synthetic_head("FLAIR", seed=3, grid=FLAIR_GRID, moved=MOVED))
    (patient,) = open_source("bids", tmp_path)
    assert patient.present == (True, False, False, True)
    truth = patient.truth_on_model_grid()
    np.testing.assert_allclose(centre_mm(truth, patient.grid), LESION_MM, atol=1.5)
    shown = patient.on_truth(truth.astype(np.float32)) >= 0.5
    assert patient.truth is not None
    overlap = 2 * (shown & patient.truth).sum() / (shown.sum() + patient.truth.sum())
    assert overlap > 0.9


def test_a_sequence_that_cannot_be_aligned_takes_its_mask_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.prepare.aligned_to", refusing)
    write_bids(tmp_path / "set", synthetic_head("FLAIR", grid=FLAIR_GRID))
    assert main(["--cases", "bids", str(tmp_path / "set"), "--out", str(tmp_path / "out")]) == 3
    said = capsys.readouterr().err
    assert (
        "sub-01_ses-02 is not written: sub-01_ses-02: its mask lies on FLAIR, which cannot be aligned: the heads"
        in said
    )
    assert not list((tmp_path / "out").iterdir())


def test_what_is_left_out_is_said_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.prepare.aligned_to", refusing)
    folder = tmp_path / "set" / "Mets_001"
    write(folder / "t1_gd.nii.gz", HEAD, SLAB)
    write(folder / "t1_pre.nii.gz", np.zeros(SLAB.shape_zyx), SLAB)
    write(folder / "flair.nii.gz", HEAD[1:], axial_grid((11, 56, 48), (2, 4, 4)))
    write(folder / "seg.nii.gz", LESION, SLAB)
    options = ["--cases", "brainmetshare", str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--site", "Leeds"]
    assert main(options) == 0
    said = capsys.readouterr().err
    assert "Mets_001 is written without PRE_CUBE: it holds zeros only" in said
    assert "Mets_001 is written without FLAIR: the heads differ" in said
    meta = json.loads((tmp_path / "out" / "Mets_001" / "meta.json").read_text())
    assert meta["present"] == [False, False, True, False]
    assert meta["left_out"] == {"PRE_CUBE": "it holds zeros only", "FLAIR": "the heads differ"}
    assert (meta["site"], meta["subject"]) == ("Leeds", "Mets_001")


def test_a_doubtful_alignment_gets_the_longer_try_of_serving(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The quick search is made to fail: the thorough one decides."""
    far = rigid((40, 0, 0))

    def quick_fails(fixed: Volume, moving: Volume, **options: Any) -> Alignment:
        if options.get("plan", QUICK) == QUICK:
            return Alignment(transform=far, quality={"translation_mm": 40, "rotation_degrees": 0}, seconds=0)
        return register(fixed, moving, seed=options["seed"])

    monkeypatch.setattr(worker.align, "register", quick_fails)
    write_bids(tmp_path, synthetic_head("FLAIR", seed=3, grid=FLAIR_GRID, moved=MOVED))
    (patient,) = open_source("bids", tmp_path)
    assert patient.present == (True, False, False, True)
    assert not patient.left_out
    np.testing.assert_allclose(patient.to_truth, MOVED, atol=1.5)


def test_sessions_of_one_person_say_so_on_disk(tmp_path: Path) -> None:
    for session in ("ses-01", "ses-02"):
        anatomy = tmp_path / "set" / "sub-07" / session / "anat"
        stem = f"sub-07_{session}"
        write(anatomy / f"{stem}_ce-gadolinium_T1w.nii.gz", HEAD, SLAB)
        write(anatomy / f"{stem}_mask.nii.gz", LESION, SLAB)
    assert main(["--cases", "bids", str(tmp_path / "set"), "--out", str(tmp_path / "out")]) == 0
    patients = list(open_source("cache", tmp_path / "out"))
    assert [(patient.name, patient.subject) for patient in patients] == [
        ("sub-07_ses-01", "sub-07"),
        ("sub-07_ses-02", "sub-07"),
    ]


def test_a_set_without_any_mask_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "set" / "Mets_001" / "flair.nii.gz", HEAD, SLAB)
    assert prepared(tmp_path) == 2
    said = capsys.readouterr().err
    assert "no patient has a mask, nothing is written (looked for seg.nii.gz beside the sequences)" in said


def test_what_an_earlier_run_wrote_of_a_refused_patient_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be there with its face, and would train."""
    folder = tmp_path / "set" / "Mets_001"
    write(folder / "flair.nii.gz", HEAD, SLAB)
    write(folder / "seg.nii.gz", LESION, SLAB)
    assert prepared(tmp_path) == 0
    assert "earlier run" not in capsys.readouterr().err
    write(folder / "flair.nii.gz", np.where(LESION, np.nan, HEAD), SLAB)
    assert prepared(tmp_path) == 3
    assert f"{tmp_path / 'out' / 'Mets_001'} stands from an earlier run and would train" in capsys.readouterr().err


def test_one_damaged_patient_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2, 3):
        folder = tmp_path / "set" / f"Mets_00{number}"
        write(folder / "flair.nii.gz", np.where(LESION, np.nan, HEAD) if number == 1 else HEAD, SLAB)
        if number < 3:
            write(folder / "seg.nii.gz", LESION, SLAB)
    assert main(["--cases", "brainmetshare", str(tmp_path / "set"), "--out", str(tmp_path / "out")]) == 3
    said = capsys.readouterr().err
    assert "Mets_001 is not written: " in said
    assert "flair.nii.gz has voxels that are no finite numbers" in said
    assert "1 of 3 patients have no mask and are not written: Mets_003 (looked for seg.nii.gz beside" in said
    assert said.endswith(
        "1 patient written, none with all four sequences; without BRAVO 1, without PRE_CUBE 1, without POST_CUBE 1\n"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Mets_002"]


def test_labels_that_were_not_read_are_said_and_can_be_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anatomy = tmp_path / "set" / "sub-01" / "anat"
    write(anatomy / "sub-01_FLAIR.nii.gz", HEAD, SLAB)
    write(anatomy / "sub-01_dseg.nii.gz", LESION + 2 * LESION[..., ::-1], SLAB)
    options = ["--cases", "bids", str(tmp_path / "set"), "--out"]
    assert main([*options, str(tmp_path / "one")]) == 0
    assert "the masks hold the labels 2 too, which were not taken as lesion" in capsys.readouterr().err
    assert main([*options, str(tmp_path / "all"), "--labels", "all"]) == 0
    assert main([*options, str(tmp_path / "both"), "--labels", "1,2"]) == 0
    assert "labels" not in capsys.readouterr().err
    one, every, both = (np.load(tmp_path / out / "sub-01" / "mask.npy") for out in ("one", "all", "both"))
    assert 0 < one.sum() < every.sum()
    np.testing.assert_array_equal(every, both)


def test_a_case_of_zeros_only_is_refused(tmp_path: Path) -> None:
    empty = write(tmp_path / "flair.nii.gz", np.zeros(SLAB.shape_zyx), SLAB)
    with pytest.raises(CaseError, match="none of the four sequences is there and holds anything"):
        prepare(load(CaseFiles(name="a", sequences={FLAIR: empty}, mask=None)))


def cached(folder: Path) -> Patient:
    return load_cached(folder / "0001")


def test_a_cached_sequence_of_zeros_is_absent_whatever_its_flag_says(tmp_path: Path) -> None:
    folder = write_patient(tmp_path, 1, absent=(2,))
    (folder / "meta.json").write_text('{"present": [true, false, true, true], "subject": "P"}')
    assert cached(tmp_path).present == (True, False, False, True)
    assert cached(tmp_path).subject == "P"


def replace_stack(shape: tuple[int, ...], value: float = 1) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / "stack.npy", np.full(shape, value, dtype=np.float16))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (replace_stack((3, 24, 256, 256)), r"stack.npy is \(3, 24, 256, 256\)"),
        (replace_stack((4, 24, 128, 128)), r"stack.npy is \(4, 24, 128, 128\)"),
        (replace_stack((4, 23, 256, 256)), r"mask.npy is \(24, 256, 256\), the stack's \(23, 256, 256\)"),
        (replace_stack((4, 24, 256, 256), 0), "none of its sequences holds anything"),
        (replace_stack((4, 24, 256, 256), float("nan")), "no finite numbers"),
        (lambda folder: (folder / "stack.npy").write_bytes(b""), "No data left"),
        (lambda folder: (folder / "mask.npy").unlink(), "No such file"),
        (lambda folder: (folder / "meta.json").write_text("{"), "Expecting"),
        (lambda folder: (folder / "meta.json").write_text("[]"), "meta.json is to hold"),
        (lambda folder: (folder / "meta.json").write_text('{"present": [true]}'), "meta.json is to hold"),
        (lambda folder: (folder / "meta.json").write_text('{"present": null}'), "meta.json is to hold"),
    ],
)
def test_what_is_no_cached_patient_is_named(damage: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    damage(write_patient(tmp_path, 1))
    with pytest.raises(CaseError, match=f"0001 is no cached patient: .*{words}"):
        cached(tmp_path)


def test_at_the_end_stands_how_many_lack_which_sequence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mets(tmp_path, {1: "bpgf", 2: "bpgf", 3: "pgf", 4: "bpg"}, dict.fromkeys((1, 2, 3, 4), LESION))
    assert prepared(tmp_path) == 0
    said = capsys.readouterr().err
    assert said == (
        "training.prepare: 4 patients written, 2 with all four sequences; without BRAVO 1, without FLAIR 1\n"
    )


def test_masks_without_a_lesion_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mets(tmp_path, {1: "f", 2: "f"}, dict.fromkeys((1, 2), np.zeros(SLAB.shape_zyx)))
    assert prepared(tmp_path) == 0
    assert "warning: no mask holds a lesion" in capsys.readouterr().err
    write_mets(tmp_path, {3: "f"}, {3: LESION})
    assert prepared(tmp_path) == 0
    said = capsys.readouterr().err
    assert "2 of 3 patients have an empty mask: Mets_001, Mets_002\n" in said
    assert "warning" not in said


def test_of_many_names_five_are_said() -> None:
    told = Told(written={"a": (True,) * 4}, without_truth=[f"p{n}" for n in range(12)])
    missing, count = told.lines("seg.nii.gz")
    assert missing.startswith(
        "12 of 13 patients have no mask and are not written: p0, p1, p2, p3, p4 and 7 more (looked"
    )
    assert count == "1 patient written, 1 with all four sequences"


@pytest.mark.parametrize("out", ["set", "set/out", "set/Mets_001", "other/../set/new", "link/out"])
def test_nothing_is_written_among_the_source_data(out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mets(tmp_path, {1: "f"}, {1: LESION})
    (tmp_path / "link").symlink_to(tmp_path / "set")
    before = sorted(tmp_path.rglob("*"))
    assert prepared(tmp_path, "--out", str(tmp_path / out)) == 2
    assert sorted(tmp_path.rglob("*")) == before
    said = capsys.readouterr().err
    assert f"--out would write into {tmp_path / 'set'}, among the data" in said
    assert said.count("\n") == 1


def test_a_patient_of_the_sources_own_name_is_not_written_over_it(tmp_path: Path) -> None:
    write_mets(tmp_path, {1: "f"}, {1: LESION})
    source = (tmp_path / "set" / "Mets_001").rename(tmp_path / "BraTS-MET-00001-000")
    (source / "flair.nii.gz").rename(source / f"{source.name}-t1c.nii.gz")
    (source / "seg.nii.gz").rename(source / f"{source.name}-seg.nii.gz")
    assert main(["--cases", "brats", str(source), "--out", str(tmp_path)]) == 2
    assert len(list(source.iterdir())) == 2
    assert main(["--cases", "brats", str(source), "--out", str(tmp_path / "out")]) == 0


def interrupt(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, at_call: int) -> None:
    """Ctrl-C at the n-th call of a function."""
    calls = []
    whole = getattr(owner, name)

    def broken(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == at_call:
            raise KeyboardInterrupt
        return whole(*arguments, **options)

    monkeypatch.setattr(owner, name, broken)


def test_a_run_that_is_broken_off_leaves_whole_patients_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mets(tmp_path, {1: "f", 2: "f", 3: "f"}, dict.fromkeys((1, 2, 3), LESION))
    with monkeypatch.context() as patched:
        interrupt(patched, np, "save", 4)  # the mask of the second patient
        assert prepared(tmp_path) == 130
    said = capsys.readouterr().err
    assert said == (
        "training.prepare: broken off; 1 patient written, each whole; the same line writes all of them again\n"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Mets_001"]
    assert prepared(tmp_path) == 0
    assert len(list(open_source("cache", tmp_path / "out"))) == 3


@pytest.mark.parametrize(("name", "at_call"), [("write_text", 1), ("unlink", 1), *(("replace", n) for n in (1, 2, 3))])
def test_a_patient_that_is_written_anew_is_the_old_or_the_new_or_none(
    name: str, at_call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never the stack of one with the mask of the other."""
    write_mets(tmp_path, {1: "f"}, {1: LESION})
    assert prepared(tmp_path) == 0
    old = load_cached(tmp_path / "out" / "Mets_001")
    write_mets(tmp_path, {1: "bf"}, {1: LESION[..., ::-1]})
    with monkeypatch.context() as patched:
        interrupt(patched, Path, name, at_call)
        assert prepared(tmp_path) == 130
    for folder in patient_folders(tmp_path / "out"):
        left = load_cached(folder)
        np.testing.assert_array_equal(left.truth, old.truth)
        assert left.present == old.present
    assert prepared(tmp_path) == 0
    new = load_cached(tmp_path / "out" / "Mets_001")
    assert new.present == (True, False, False, True)
    assert not np.array_equal(new.truth, old.truth)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Mets_001"]


KILLED = """
import os, signal, sys
import numpy
from training import prepare
save = numpy.save
numpy.save = lambda path, array: os.kill(os.getpid(), signal.SIGKILL) if path.name == "mask.npy" else save(path, array)
prepare.main(sys.argv[1:])
"""


def test_what_a_killed_run_left_does_not_train_and_goes_with_the_next(tmp_path: Path) -> None:
    write_mets(tmp_path, {1: "f"}, {1: LESION})
    line = ["--cases", "brainmetshare", str(tmp_path / "set"), "--out", str(tmp_path / "out")]
    ended = subprocess.run([sys.executable, "-c", KILLED, *line], check=False, cwd=Path(__file__).parents[3])
    assert ended.returncode == -signal.SIGKILL
    assert list((tmp_path / "out").rglob("stack.npy"))
    assert patient_folders(tmp_path / "out") == []
    with pytest.raises(CaseError, match="no "):
        open_source("cache", tmp_path / "out")
    assert prepared(tmp_path) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Mets_001"]


def test_what_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_mets(tmp_path, {1: "f"}, {1: LESION})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "Mets_001").touch()
    assert prepared(tmp_path) == 2
    assert "out/Mets_001 cannot be written (File exists)" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Mets_001"]
