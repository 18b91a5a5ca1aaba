"""Training: it learns, and a resumed run is the run that was never broken off."""

import json
import re

import pytest
import torch

from model.checkpoint import load
from model.input_dropout import SubsetLaw
from training import configuration as numbers
from training import train
from training.configuration import Configuration, TverskyOver
from training.losses import lesion_loss
from training.patients import open_patients
from training.sampling import Steps
from training.step import Learner, learning_rate
from training.train import main

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = ["--batch", "2", "--crop-px", "32", "--steps-per-epoch", "2", "--device", "cpu", "--workers", "0"]


def test_one_batch_can_be_learned_by_heart(data):
    configuration = Configuration(batch=4, crop_px=64, full_share=0, lesion_share=1, warmup_steps=5, steps=10_000)
    batch = Steps(open_patients(data), configuration)[0]
    learner = Learner(configuration, torch.device("cpu"))
    losses = [learner.learn(batch) for _ in range(40)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_resumed_run_equals_an_uninterrupted_one(data, tmp_path):
    configuration = Configuration(batch=2, crop_px=32, full_share=0, steps=6)
    steps = Steps(open_patients(data), configuration)
    whole = Learner(configuration, torch.device("cpu"))
    for step in range(6):
        whole.learn(steps[step])
    first = Learner(configuration, torch.device("cpu"))
    for step in range(3):
        first.learn(steps[step])
    first.save(tmp_path, {"score": 0.5})
    second = Learner(configuration, torch.device("cpu"))
    assert second.resume(tmp_path) == {"score": 0.5}
    for step in range(second.step, 6):
        second.learn(steps[step])
    for one, other in ((whole.network, second.network), (whole.average, second.average)):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name


def test_the_command_line_trains_and_goes_on(data, tmp_path, capsys):
    run = ["--data", str(data), "--out", str(tmp_path / "run"), "--validation", ".5", *SMALL]
    assert main([*run, "--steps", "2"]) == 0
    card = load(tmp_path / "run" / "weights").card
    dice = card.configuration["validation_dice"]
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"step 2: loss \d+\.\d{3}, validation Dice", said)
    assert all(f"{name} {score:.3f}" in said for name, score in dice.items())
    assert card.configuration["crop_px"] == 32
    assert set(json.loads((tmp_path / "run" / "split.json").read_text())) == {"train", "validation", "test"}
    before = (tmp_path / "run" / "state.pt").stat().st_mtime_ns
    assert main([*run, "--steps", "2"]) == 0
    assert (tmp_path / "run" / "state.pt").stat().st_mtime_ns == before


def test_the_comparator_trains_by_one_option(data, tmp_path):
    run = [
        "--data",
        str(data),
        "--out",
        str(tmp_path),
        "--without-dropout",
        "--validation",
        ".5",
        *SMALL,
        "--steps",
        "2",
    ]
    assert main(run) == 0
    card = load(tmp_path / "weights").card
    assert card.sequences == ("PRE_CUBE", "POST_CUBE", "FLAIR")
    assert card.subset_law is SubsetLaw.NONE


def test_another_folder_may_validate(data, tmp_path, capsys):
    run = ["--data", str(data), "--validate-on", str(data), "--out", str(tmp_path), *SMALL, "--steps", "2"]
    assert main(run) == 0
    chosen = json.loads((tmp_path / "split.json").read_text())
    assert chosen["validation"] == [f"{data.name}/{name}" for name in chosen["train"]]
    assert main(["--data", str(data), "--out", str(tmp_path), *SMALL]) == 2
    assert "--validate-on" in capsys.readouterr().err


def test_two_folders_with_one_name_are_refused(data, tmp_path, capsys):
    assert main(["--data", str(data), str(data), "--out", str(tmp_path), *SMALL]) == 2
    assert "same name" in capsys.readouterr().err


def test_no_patients_is_one_plain_line(tmp_path, capsys):
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert "two are the least" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--configuration", "none.json"], "none.json cannot be read: No such file or directory"),
        (["--configuration", "wrong.json"], "the configuration cannot be read"),
        (["--split", "none.json"], "none.json cannot be read: No such file or directory"),
        (["--split", "wrong.json"], "wrong.json is no split"),
        (["--out", "wrong.json/run"], "cannot be made: Not a directory"),
    ],
)
def test_what_cannot_be_read_is_one_plain_line(data, tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.json").write_text("[1]")
    assert main(["--data", str(data), "--out", "run", *SMALL, "--steps", "2", *options]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_one_plain_line(data, tmp_path, capsys):
    assert main(["--data", str(data), "--out", str(tmp_path), "--device", "cuda"]) == 2
    assert "torch finds no CUDA device here" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--steps", "0"], ["--batch", "-2"], ["--crop-px", "x"], ["--validation", "1.5"]])
def test_a_number_that_cannot_be_is_named(tmp_path, capsys, option):
    with pytest.raises(SystemExit) as ended:
        main(["--data", str(tmp_path), "--out", str(tmp_path), *option])
    assert ended.value.code == 2
    assert f"argument {option[0]}" in capsys.readouterr().err


def test_a_fault_of_ours_keeps_its_trace(data, tmp_path, monkeypatch):
    """As one plain line a ValueError of numpy, hours into a run, would say neither what nor where."""

    def learn(*_: object) -> float:
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr(Learner, "learn", learn)
    with pytest.raises(ValueError, match="broadcast"):
        main(["--data", str(data), "--out", str(tmp_path), "--validation", ".5", *SMALL, "--steps", "2"])


def test_a_configuration_survives_its_file():
    configuration = Configuration(batch=3, subset_law=SubsetLaw.BERNOULLI, keep_probability=(0.5, 0.8, 0.9, 1.0))
    assert numbers.from_json(numbers.to_json(configuration)) == configuration
    with pytest.raises(ValueError, match="colour"):
        numbers.from_json('{"colour": 1}')


@pytest.mark.parametrize("keep", ["[0.5]", "[0, 1, 1, 1]", "[0.5, 0.5, 0.5, 1.5]", '["a", 1, 1, 1]'])
def test_probabilities_that_cannot_be_are_refused(keep):
    with pytest.raises(ValueError, match=r"keep_probability|cannot be read"):
        numbers.from_json(f'{{"keep_probability": {keep}}}')
    with pytest.raises(ValueError, match=r"keep_probability|cannot be read"):
        numbers.from_json(f'{{"late_keep_probability": {keep}}}')


def test_the_loss_falls_as_the_answer_gets_better():
    target = torch.zeros(1, 1, 16, 16)
    target[..., 4:12, 4:12] = 1
    losses = [float(lesion_loss(target * 2 * k - k, target, Configuration())) for k in (-2.0, 0.0, 2.0, 6.0)]
    assert losses == sorted(losses, reverse=True)


def test_the_laws_of_the_command_line_are_the_laws_of_the_run(data, tmp_path):
    """Members of their enumerations, not their names: `is` tells them apart."""
    options = ["--data", str(data), "--out", str(tmp_path), "--subset-law", "count", "--tversky-over", "crop"]
    chosen = train._configuration(train._parser().parse_args(options))
    assert chosen.subset_law is SubsetLaw.COUNT
    assert chosen.tversky_over is TverskyOver.CROP


def test_a_false_object_beside_a_large_lesion_counts_only_where_each_crop_counts_by_itself():
    """One crop with a lesion of 40 x 40 px, called right; one without, in which 5 x 5 px are called."""
    target = torch.zeros(2, 1, 64, 64)
    target[0, :, 10:50, 10:50] = 1
    called = target.clone()
    called[1, :, 20:25, 20:25] = 1
    logit = called * 200 - 100
    batch, crop = (
        float(lesion_loss(logit, target, Configuration(cross_entropy=0, tversky_over=over))) for over in TverskyOver
    )
    assert batch == pytest.approx(1 - 1620 / (1620 + 12.5), abs=1e-5)
    assert crop == pytest.approx((0 + 1 - 6 / (6 + 12.5)) / 2, abs=1e-5)


def test_an_empty_batch_has_a_finite_gradient():
    logit = torch.zeros(1, 1, 8, 8, requires_grad=True)
    lesion_loss(logit, torch.zeros(1, 1, 8, 8), Configuration()).backward()
    assert logit.grad is not None
    assert bool(torch.isfinite(logit.grad).all())


def test_the_learning_rate_warms_up_and_fades():
    configuration = Configuration(steps=1000, warmup_steps=100, learning_rate=1.0)
    rates = [learning_rate(step, configuration) for step in (0, 99, 500, 999)]
    assert rates[0] == pytest.approx(0.01, abs=1e-3)
    assert rates[1] > 0.97
    assert rates[2] == pytest.approx(0.5, abs=0.01)
    assert rates[3] < 1e-4
