"""Who takes part in a training, where several folders are given."""

import json

import pytest
from support.patients import write_patient

from training.held_out import not_held_out
from training.train import main

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = ["--batch", "2", "--crop-px", "32", "--steps-per-epoch", "2", "--device", "cpu", "--workers", "0"]


def test_patients_of_two_folders_may_be_called_alike(data, tmp_path):
    """All cohorts count from 0000."""
    write_patient(tmp_path / "more", 2, slices=6)
    write_patient(tmp_path / "more", 5, slices=6)
    out = tmp_path / "run"
    (tmp_path / "link").symlink_to(tmp_path / "more")
    run = ["--data", str(data), str(tmp_path / "link"), "--out", str(out), "--validation", ".5", *SMALL]
    assert main([*run, "--steps", "2"]) == 0
    chosen = json.loads((out / "split.json").read_text())
    assert {*chosen["train"], *chosen["validation"]} == {"0001", "0005", f"{data.name}:0002", "more:0002"}
    warned = [not_held_out(out, "cache", place, ("0002",)) for place in (data, tmp_path / "more")]
    counts = [("1 trained" if f"{place}:0002" in chosen["train"] else "0 trained") for place in (data.name, "more")]
    assert all(count in sentence for count, sentence in zip(counts, warned, strict=True))
    assert main([*run, "--steps", "2"]) == 0, "and so they are called when the run goes on"


def test_one_folder_twice_is_refused(data, tmp_path, capsys):
    assert main(["--data", str(data), str(data), "--out", str(tmp_path), *SMALL]) == 2
    assert "0001 twice" in capsys.readouterr().err
