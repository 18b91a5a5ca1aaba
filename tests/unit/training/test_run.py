"""A run by its command line: broken off and gone on with, shown in TensorBoard, ended early, in two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.patients import write_patient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from model.checkpoint import load
from training import configuration as numbers
from training import train
from training.step import STATE_FILE, Learner

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("one_thread")]
SMALL = ["--batch", "2", "--crop-px", "32", "--steps-per-epoch", "2", "--device", "cpu", "--workers", "0"]


@pytest.fixture
def quick_validation(monkeypatch):
    """Validation by a list of scores instead of whole volumes; the last one goes on for ever."""

    def use(*scores: float) -> None:
        left = list(scores)
        monkeypatch.setattr(train, "validate", lambda *_: {"FLAIR": left.pop(0) if len(left) > 1 else left[0]})

    return use


def line(data: Path, out: Path, *options: str) -> list[str]:
    return ["--data", str(data), "--out", str(out), "--validation", ".5", *SMALL, *options]


def scalars(run: Path) -> dict[str, list[int]]:
    """Name -> steps at which TensorBoard was told of it."""
    events = EventAccumulator(str(run / "events"))
    events.Reload()
    return {name: [event.step for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_a_run_that_was_broken_off_ends_as_if_it_had_not_been(data, tmp_path, monkeypatch, quick_validation):
    quick_validation(0.1, 0.2, 0.3)
    assert train.main(line(data, tmp_path / "whole", "--steps", "6")) == 0
    learn = Learner.learn

    def until_the_power_fails(self, batch):
        if self.step == 3:
            raise KeyboardInterrupt
        return learn(self, batch)

    quick_validation(0.1, 0.2, 0.3)
    monkeypatch.setattr(Learner, "learn", until_the_power_fails)
    with pytest.raises(KeyboardInterrupt):
        train.main(line(data, tmp_path / "broken", "--steps", "6"))
    monkeypatch.setattr(Learner, "learn", learn)
    quick_validation(0.2, 0.3)
    assert train.main(line(data, tmp_path / "broken", "--steps", "6")) == 0
    whole, broken = (torch.load(tmp_path / name / STATE_FILE, weights_only=True) for name in ("whole", "broken"))
    assert whole["step"] == broken["step"] == 6
    assert whole["extra"] == broken["extra"]
    for name, value in whole["average"].items():
        assert torch.equal(value, broken["average"][name]), name
    kept = [load(tmp_path / name / "weights").network.state_dict() for name in ("whole", "broken")]
    assert all(torch.equal(value, kept[1][name]) for name, value in kept[0].items())


def test_tensorboard_is_told_of_each_epoch(data, tmp_path, quick_validation):
    quick_validation(0.1, 0.2)
    assert train.main(line(data, tmp_path, "--steps", "4")) == 0
    assert scalars(tmp_path) == {"loss": [2, 4], "validation/FLAIR": [2, 4]}


def test_a_run_without_better_validation_ends_early_and_keeps_its_best(data, tmp_path, capsys, quick_validation):
    quick_validation(0.5, 0.4)
    patient = tmp_path / "patient.json"
    patient.write_text(json.dumps({"patience": 2}))
    out = tmp_path / "run"
    assert train.main(line(data, out, "--steps", "100", "--configuration", str(patient))) == 0
    assert torch.load(out / STATE_FILE, weights_only=True)["step"] == 6
    assert load(out / "weights").card.configuration["step"] == 2
    assert "no better validation since epoch 1" in capsys.readouterr().out


def test_every_number_of_the_run_is_saved_beside_the_weights(data, tmp_path, quick_validation):
    quick_validation(0.5)
    assert train.main(line(data, tmp_path, "--steps", "2", "--learning-rate", ".004", "--seed", "9")) == 0
    saved = numbers.from_json((tmp_path / "configuration.json").read_text())
    assert (saved.steps, saved.learning_rate, saved.seed, saved.crop_px) == (2, 0.004, 9, 32)
    card = load(tmp_path / "weights").card
    of_card = {name: card.configuration[name] for name in ("learning_rate", "seed", "crop_px", "subset_law")}
    assert of_card == {"learning_rate": 0.004, "seed": 9, "crop_px": 32, "subset_law": saved.subset_law}
    chosen = json.loads((tmp_path / "split.json").read_text())
    assert sorted([*chosen["train"], *chosen["validation"]]) == ["0001", "0002"]


@pytest.mark.slow
def test_two_processes_train_one_network_and_go_on(tmp_path):
    """By torchrun over gloo, on patients that nobody has opened before: both processes index them at once."""
    for seed in (1, 2, 3, 4):
        write_patient(tmp_path / "patients", seed, slices=6)
    out = tmp_path / "run"
    for steps in (2, 4):
        told = torchrun(line(tmp_path / "patients", out, "--steps", str(steps), "--threads", "1"))
        assert told.returncode == 0, told.stderr[-3000:]
        state = torch.load(out / STATE_FILE, weights_only=True)
        assert state["step"] == steps
        assert all(bool(torch.isfinite(value).all()) for value in state["average"].values())
        saved = out / "configuration.json"
        saved.write_text(json.dumps({**json.loads(saved.read_text()), "steps": 4}))
    assert load(out / "weights").card.name == "quartet-ild"
    assert scalars(out)["loss"] == [2, 4]


def torchrun(options: list[str]) -> subprocess.CompletedProcess[str]:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    typed = [*launch, "-m", "training.train", *options]
    return subprocess.run(typed, capture_output=True, text=True, check=False, env=quiet)
