"""Whoever trained or chose the weights is named where they are measured."""

import json

import pytest
from support.patients import write_patient
from support.weights import random_weights

from training.evaluate import main
from training.held_out import not_held_out

pytestmark = pytest.mark.timeout(600)
"""On a busy machine."""


@pytest.fixture
def run_of_three(tmp_path):
    """A run whose weights the first patient trained and the second chose; the third is unknown to it."""
    random_weights(tmp_path / "run" / "weights")
    for seed in (1, 2, 3):
        write_patient(tmp_path / "patients", seed, slices=3, absent=(0, 1, 2))
    split = {"train": ["0001"], "validation": ["0002"], "test": ["0003"], "data": [str(tmp_path / "patients")]}
    (tmp_path / "run" / "split.json").write_text(json.dumps(split))
    return tmp_path


def evaluated(folder, patients):
    options = ["--cases", "cache", str(folder / patients), "--weights", str(folder / "run" / "weights")]
    assert main([*options, "--out", str(folder / "report")]) == 0
    return (folder / "report" / "table.md").read_text(), json.loads((folder / "report/evaluation.json").read_text())


def test_who_trained_the_weights_is_told_above_the_table(run_of_three, capsys):
    text, raw = evaluated(run_of_three, "patients")
    said = "Of these 3 patients 1 trained the weights and 1 chose them"
    assert said in text
    assert said in raw["warning"]
    assert said in capsys.readouterr().out


def test_others_of_the_same_names_are_no_reason_for_a_warning(run_of_three):
    """All synthetic cohorts count from 0000."""
    for seed in (1, 2):
        write_patient(run_of_three / "others", seed, slices=3, absent=(0, 1, 2))
    text, raw = evaluated(run_of_three, "others")
    assert "trained the weights" not in text
    assert "warning" not in raw


def test_a_patient_is_known_by_a_link_of_another_name(run_of_three):
    (run_of_three / "links").mkdir()
    (run_of_three / "links" / "mine-1").symlink_to(run_of_three / "patients" / "0001")
    (run_of_three / "links" / "mine-2").symlink_to(run_of_three / "patients" / "0002")
    split = {"train": ["mine-1"], "validation": ["mine-2"], "test": [], "data": [str(run_of_three / "links")]}
    (run_of_three / "run" / "split.json").write_text(json.dumps(split))
    said = not_held_out(run_of_three / "run", "cache", run_of_three / "patients", ("0001", "0002", "0003"))
    assert "Of these 3 patients 1 trained the weights and 1 chose them" in said


def test_who_validates_is_not_whoever_trains_by_the_same_name(run_of_three):
    write_patient(run_of_three / "val", 1, slices=3, absent=(0, 1, 2))
    places = {"data": [str(run_of_three / "patients")], "validate_on": [str(run_of_three / "val")]}
    split = {"train": ["0001", "0002"], "validation": ["val/0001"], "test": [], **places}
    (run_of_three / "run" / "split.json").write_text(json.dumps(split))
    run, names = run_of_three / "run", ("0001", "0002", "0003")
    assert "2 trained the weights and 0 chose" in not_held_out(run, "cache", run_of_three / "patients", names)
    assert "0 trained the weights and 1 chose" in not_held_out(run, "cache", run_of_three / "val", ("0001",))
    assert "2 trained the weights and 1 chose" in not_held_out(run, "brats", run_of_three / "raw", names)


def test_a_raw_data_set_is_known_by_its_names(run_of_three):
    folder, names = run_of_three / "raw", ("0001", "0009")
    assert "1 trained the weights and 0 chose them" in not_held_out(run_of_three / "run", "brats", folder, names)
    assert not not_held_out(run_of_three / "run", "brats", folder, ("0009",))
    assert not not_held_out(run_of_three / "nowhere", "brats", folder, names)
