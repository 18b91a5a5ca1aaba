"""A run by its command line: gone on with, shown in TensorBoard, ended early, in two processes."""

import json

import pytest
import torch
from support.patients import write_patient
from support.runs import line, scalars, torchrun

from model.checkpoint import load
from training import configuration as numbers
from training import step, train
from training.step import STATE_FILE
from worker.errors import WorkerError

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("one_thread")]


@pytest.fixture(scope="module")
def run_of_two_steps(data, tmp_path_factory):
    """A finished run, with files of the same and of other settings beside it. Tests leave it as it is."""
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(train, "validate", lambda *_: {"FLAIR": 0.5})
        assert train.main(line(data, out, "--steps", "2")) == 0
    (out.parent / "patience.json").write_text(json.dumps({"patience": 3}))
    (out.parent / "same.json").write_text(json.dumps({"crop_px": 32, "seed": 20211}))
    return out


def test_a_finished_run_says_where_its_weights_are_and_how_to_go_further(data, run_of_two_steps, capsys):
    asked = ["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu", "--workers", "0"]
    assert train.main(asked) == 0
    said = capsys.readouterr().out
    weights = run_of_two_steps / "weights"
    assert f"{run_of_two_steps} is finished at step 2; its best weights, of epoch 1, stand in {weights}." in said
    assert f"--start-from {weights} and another --out" in said
    assert "goes on" not in said


def test_the_weights_that_a_run_began_with_are_kept_in_its_split(data, run_of_two_steps, tmp_path, quick_validation):
    quick_validation(0.5)
    start = ["--start-from", str(run_of_two_steps / "weights")]
    assert train.main(line(data, tmp_path, "--steps", "2", *start)) == 0
    digest = load(run_of_two_steps / "weights").card.weights_sha256[:12]
    for options in (start, []):
        assert train.main(line(data, tmp_path, *options)) == 0
        origin = json.loads((tmp_path / "split.json").read_text())["start_from"]
        assert origin == f"quartet-ild 0.0.0-training, SHA-256 {digest}"


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
    again = (out / STATE_FILE).read_bytes()
    assert train.main(line(data, out, "--steps", "100", "--configuration", str(patient))) == 0
    assert (out / STATE_FILE).read_bytes() == again
    assert "no better validation since epoch 1" in capsys.readouterr().out


CONTRADICTIONS = {
    "steps": ["--steps", "500"],
    "architecture": ["--architecture", "quartet_wide"],
    "sequences": ["--without-dropout"],
    "seed": ["--seed", "2"],
    "subset_law": ["--subset-law", "count"],
    "patience": ["--configuration", "patience.json"],
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_run_does_not_go_on_with_other_settings(data, run_of_two_steps, monkeypatch, capsys, name):
    """All of them were passed over without a word, and a report then named what had been asked for."""
    monkeypatch.chdir(run_of_two_steps.parent)
    before = {path: path.read_bytes() for path in run_of_two_steps.glob("*.*")}
    asked = ["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu"]
    assert train.main([*asked, *CONTRADICTIONS[name]]) == 2
    said = capsys.readouterr().err
    assert f"other settings ({name}" in said
    assert "another --out" in said
    assert said.count("\n") == 1
    assert before == {path: path.read_bytes() for path in run_of_two_steps.glob("*.*")}


@pytest.mark.parametrize("options", [[], ["--steps", "2"], ["--configuration", "same.json", "--start-from", "none"]])
def test_a_run_goes_on_where_options_say_what_it_has(data, run_of_two_steps, monkeypatch, options):
    monkeypatch.chdir(run_of_two_steps.parent)
    before = (run_of_two_steps / STATE_FILE).read_bytes()
    asked = ["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu", "--workers", "0"]
    assert train.main([*asked, *options]) == 0
    assert (run_of_two_steps / STATE_FILE).read_bytes() == before


def test_a_run_does_not_go_on_with_another_split(data, run_of_two_steps, capsys):
    chosen = json.loads((run_of_two_steps / "split.json").read_text())
    turned = run_of_two_steps.parent / "turned.json"
    turned.write_text(json.dumps({"train": chosen["validation"], "validation": chosen["train"], "test": []}))
    asked = ["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu", "--workers", "0"]
    assert train.main([*asked, "--split", str(turned)]) == 2
    assert "is not the split of" in capsys.readouterr().err
    assert train.main([*asked, "--split", str(run_of_two_steps / "split.json")]) == 0


def test_a_folder_that_would_not_validate_is_named(data, run_of_two_steps, tmp_path, capsys):
    write_patient(tmp_path / "val", 3, slices=6)
    asked = ["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu"]
    assert train.main([*asked, "--validate-on", str(tmp_path / "val")]) == 2
    assert "none of it stands in the split" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no state", "half", "another network"])
def test_a_broken_state_is_one_plain_line(data, run_of_two_steps, tmp_path, capsys, content):
    state = run_of_two_steps / STATE_FILE
    whole = state.read_bytes()
    if content == "another network":
        torch.save({**torch.load(state, weights_only=True), "network": {}}, state)
    else:
        state.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    try:
        assert train.main(["--data", str(data), "--out", str(run_of_two_steps), "--device", "cpu"]) == 2
    finally:
        state.write_bytes(whole)
    said = capsys.readouterr().err
    assert "state.pt is no state of this run" in said
    assert said.count("\n") == 1


def test_a_loss_that_is_no_number_ends_the_run(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(step, "lesion_loss", lambda logit, *_: logit.sum() * float("nan"))
    assert train.main(line(data, tmp_path, "--steps", "4")) == 2
    assert "the loss of step 1 is nan" in capsys.readouterr().err
    assert not (tmp_path / STATE_FILE).exists()


def test_what_the_served_path_refuses_is_one_plain_line(data, tmp_path, monkeypatch, capsys):
    def refuse(*_: object) -> None:
        raise WorkerError("the network gave values that are no probabilities")

    monkeypatch.setattr(train, "validate", refuse)
    assert train.main(line(data, tmp_path, "--steps", "2")) == 2
    assert capsys.readouterr().err == "training.train: the network gave values that are no probabilities\n"


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
