"""README's three lines, as they stand there: from somebody's own data set to weights that the node serves."""

import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest

from training import export, prepare, train
from worker.inference.predict import Predictor

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("one_thread")]
README = Path(__file__).parents[3] / "README.md"
COMMANDS = {"prepare": prepare.main, "train": train.main, "export": export.main}
QUICK = [
    "--steps",
    "2",
    "--batch",
    "2",
    "--crop-px",
    "32",
    "--steps-per-epoch",
    "2",
    "--device",
    "cpu",
    "--workers",
    "0",
]


def lines() -> list[tuple[str, list[str]]]:
    """Command and options of each line of README's section."""
    section = README.read_text().split("## Train it on your own data\n")[1].split("\n\n")[0]
    return [(name, typed.split()) for name, typed in re.findall(r"python -m training\.(\w+) ([^#\n]+)", section)]


def brainmetshare(folder: Path, patients: int) -> None:
    """A data set of ellipsoids with a bright sphere, BRAVO and FLAIR only."""
    x, y, z = np.meshgrid(np.arange(60) - 30, np.arange(70) - 35, np.arange(10) - 5, indexing="ij")
    for number in range(patients):
        rng = np.random.default_rng(number)
        head = (x / 26) ** 2 + (y / 31) ** 2 + (z / 12) ** 2 < 1
        lesion = (x - rng.integers(-9, 9)) ** 2 + (y - rng.integers(-9, 9)) ** 2 + z**2 < 9
        image = (100 * head + 80 * lesion) * (1 + 0.1 * rng.standard_normal(head.shape))
        case = folder / f"Mets_{number:03d}"
        case.mkdir(parents=True)
        for name, voxels in (("bravo", image), ("flair", image), ("seg", lesion)):
            saved = nibabel.Nifti1Image(voxels.astype(np.float32), np.diag([3.0, 3.0, 1.0, 1.0]))
            nibabel.save(saved, case / f"{name}.nii.gz")


def test_the_three_lines_give_weights_that_answer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    brainmetshare(tmp_path / "DIR", 6)
    assert [name for name, _ in lines()] == list(COMMANDS)
    for name, typed in lines():
        assert COMMANDS[name]([*typed, *(QUICK if name == "train" else [])]) == 0
    split = json.loads((tmp_path / "runs" / "mine" / "split.json").read_text())
    assert {part: len(split[part]) for part in ("train", "validation", "test")} == {
        "train": 4,
        "validation": 1,
        "test": 1,
    }
    predictor = Predictor(tmp_path / "weights" / "mine")
    assert predictor.card.threshold_rule.startswith("pooled on 1 validation patients")
    measured = json.loads((tmp_path / "weights" / "mine" / "evaluation" / "evaluation.json").read_text())["subsets"]
    assert set(measured) == {"BRAVO+FLAIR", "BRAVO", "FLAIR"}
    assert [one["name"] for one in measured["FLAIR"]["each"]] == [f"patients/{split['test'][0]}"]
    patient = prepare.load_cached(tmp_path / "patients" / split["test"][0])
    assert patient.present == (True, False, False, True)
    assert np.ptp(predictor.predict(patient.stack, patient.present)) > 0
