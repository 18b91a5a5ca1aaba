"""Training: it learns, and a resumed run is the run that was never broken off."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.patients import write_patient
from support.weights import random_weights

from model.checkpoint import load
from model.input_dropout import SubsetLaw
from training import configuration as numbers
from training import train
from training.configuration import Configuration, TverskyOver
from training.errors import TrainingError
from training.losses import lesion_loss
from training.patients import open_patients
from training.sampling import Steps
from training.step import Learner, learning_rate
from training.train import main
from training.validate import subsets_of

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
    chosen = json.loads((tmp_path / "run" / "split.json").read_text())
    assert set(chosen) == {"train", "validation", "test", "data", "validate_on", "start_from"}
    assert chosen["data"] == [str(data.resolve())]
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


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a third patient."""
    folder = tmp_path_factory.mktemp("others") / "val"
    write_patient(folder, 3, slices=6)
    return folder


def test_another_folder_may_validate(data, others, tmp_path, capsys):
    run = ["--data", str(data), "--validate-on", str(others), "--out", str(tmp_path), *SMALL, "--steps", "2"]
    assert main(run) == 0
    chosen = json.loads((tmp_path / "split.json").read_text())
    assert (chosen["train"], chosen["validation"]) == (["0001", "0002"], ["val/0003"])
    assert (chosen["data"], chosen["validate_on"]) == ([str(data)], [str(others)])
    assert main(["--data", str(data), "--out", str(tmp_path), *SMALL]) == 2
    assert "--validate-on" in capsys.readouterr().err


def test_who_trains_does_not_validate_by_any_name(data, tmp_path, capsys):
    """The folder itself, a link to it, a folder of links to its files; a split that says so."""
    (tmp_path / "link").symlink_to(data)
    (tmp_path / "files" / "mine").mkdir(parents=True)
    for name in ("stack.npy", "mask.npy"):
        (tmp_path / "files" / "mine" / name).symlink_to(data / "0001" / name)
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["0001"], "validation": ["files/mine"], "test": []}))
    linked = ["--validate-on", str(tmp_path / "files")]
    same, link = ["--validate-on", str(data)], ["--validate-on", str(tmp_path / "link")]
    for options in (same, link, linked, [*linked, "--split", str(split)]):
        run = ["--data", str(data), *options, "--out", str(tmp_path / "run"), *SMALL, "--steps", "2"]
        assert main(run) == 2, options
        assert "trains, and cannot validate" in capsys.readouterr().err
    assert not (tmp_path / "run" / "split.json").exists()


def test_folders_that_cannot_validate_are_one_plain_line(data, others, tmp_path, capsys):
    write_patient(tmp_path / "again" / "val", 4, slices=6)
    (tmp_path / "empty").mkdir()
    for folders, words in (
        ([others, tmp_path / "again" / "val"], "two folders of --validate-on have the same name"),
        ([others, tmp_path / "empty"], "empty holds no patient"),
    ):
        run = ["--data", str(data), "--validate-on", *map(str, folders), "--out", str(tmp_path / "run"), *SMALL]
        assert main(run) == 2
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1


@pytest.mark.parametrize("options", [["--train-site", "a"], ["--test", ".2"]])
def test_options_that_divide_the_data_are_refused_where_others_validate(data, others, tmp_path, capsys, options):
    run = ["--data", str(data), "--validate-on", str(others), *options, "--out", str(tmp_path / "run"), *SMALL]
    assert main(run) == 2
    assert "with --validate-on all of --data trains: leave out --train-site and --test" in capsys.readouterr().err


def test_the_exams_of_a_person_train_or_validate_together(tmp_path, monkeypatch):
    for seed in range(1, 7):
        folder = write_patient(tmp_path / "patients", seed, slices=6)
        (folder / "meta.json").write_text(json.dumps({"subject": f"person{seed % 2}"}))
    monkeypatch.setattr(train, "validate", lambda *_: {"FLAIR": 0.5})
    out = tmp_path / "run"
    run = ["--data", str(tmp_path / "patients"), "--out", str(out), "--validation", ".2", *SMALL, "--steps", "2"]
    assert main(run) == 0
    chosen = json.loads((out / "split.json").read_text())
    assert sorted(sorted(chosen[part]) for part in ("train", "validation")) == [
        ["0001", "0003", "0005"],
        ["0002", "0004", "0006"],
    ]


def test_exams_of_a_person_on_both_sides_of_a_given_split_are_named(tmp_path, monkeypatch, capsys):
    """Folders and splits of one's own may do so; two sets may also call two persons sub-01. Hence no refusal."""
    for place, seed in (("data", 1), ("data", 2), ("val", 3)):
        folder = write_patient(tmp_path / place, seed, slices=6)
        (folder / "meta.json").write_text(json.dumps({"subject": "sub-01" if seed != 2 else "0002"}))
    monkeypatch.setattr(train, "validate", lambda *_: {"FLAIR": 0.5})
    run = ["--data", str(tmp_path / "data"), "--validate-on", str(tmp_path / "val"), "--out", str(tmp_path / "run")]
    assert main([*run, *SMALL, "--steps", "2"]) == 0
    assert "of the same person, if sub-01 is one, exams train and exams validate" in capsys.readouterr().out


def test_patients_that_lack_sequences_validate_with_what_they_have(tmp_path, capsys):
    """POST_CUBE and FLAIR alone: none of the configuration's subsets, which was said after an epoch only."""
    for seed in (1, 2):
        write_patient(tmp_path / "patients", seed, slices=6, absent=(0, 1))
    run = ["--data", str(tmp_path / "patients"), "--out", str(tmp_path / "run"), "--validation", ".5", *SMALL]
    assert main([*run, "--steps", "2"]) == 0
    assert "they validate POST_CUBE+FLAIR" in capsys.readouterr().out
    assert list(load(tmp_path / "run" / "weights").card.configuration["validation_dice"]) == ["POST_CUBE+FLAIR"]
    assert main([*run, "--steps", "2"]) == 0


def test_patients_that_cannot_validate_are_refused_before_the_first_step(tmp_path, monkeypatch, capsys):
    for seed in (1, 2):
        folder = write_patient(tmp_path / "patients", seed, slices=6)
        np.save(folder / "mask.npy", np.zeros((6, 256, 256), dtype=np.uint8))
    monkeypatch.setattr(Learner, "learn", lambda *_: pytest.fail("a step was made"))
    assert main(["--data", str(tmp_path / "patients"), "--out", str(tmp_path / "run"), *SMALL]) == 2
    assert "no validation patient (of 1) has a lesion" in capsys.readouterr().err


def test_the_subsets_that_validate_are_those_that_patients_have_and_the_network_reads(tmp_path):
    write_patient(tmp_path, 1, slices=6, absent=(0,))
    without_bravo = open_patients(tmp_path)
    assert subsets_of(without_bravo, Configuration()) == ((False, True, True, True),)
    comparator_of_all = replace(Configuration(), sequences=("PRE_CUBE", "POST_CUBE", "FLAIR"))
    write_patient(tmp_path, 2, slices=6)
    assert subsets_of(open_patients(tmp_path), Configuration()) == Configuration().validation_subsets
    assert subsets_of(open_patients(tmp_path), comparator_of_all) == Configuration().validation_subsets[:2]
    with pytest.raises(TrainingError, match="has a lesion and one of BRAVO"):
        subsets_of(without_bravo, replace(Configuration(), sequences=("BRAVO",)))


def test_no_patients_is_one_plain_line(tmp_path, capsys):
    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    assert "two are the least" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--configuration", "none.json"], "none.json cannot be read: No such file or directory"),
        (["--configuration", "wrong.json"], "wrong.json: the configuration cannot be read"),
        (["--split", "none.json"], "none.json cannot be read: No such file or directory"),
        (["--split", "wrong.json"], "wrong.json is no split"),
        (["--out", "wrong.json/run"], "cannot be made: Not a directory"),
        (["--crop-px", "100"], "crop_px: expected a multiple of 8 up to 256; it is 100"),
        (["--learning-rate", "nan"], "learning_rate: expected a number from 0; it is nan"),
        (["--train-site", "C"], "--train-site C (sites here: A)"),
        (["--train-site", "A", "--validation", "0"], "--train-site A (sites here: A)"),
        (["--validation", ".6", "--test", ".5"], "--validation 0.6 and --test 0.5 are no shares"),
        (["--data", "nowhere"], "--data nowhere: there is no such folder"),
        (["--validate-on", "nowhere"], "--validate-on nowhere: there is no such folder"),
        (
            ["--data", "raw"],
            "--data raw holds NIfTI, which is not on the model's grid yet: `python -m training.prepare",
        ),
        (["--start-from", "weights"], "a quartet_light of 4 sequences, this run trains a quartet_wide of 4 sequences"),
    ],
)
def test_what_cannot_be_read_is_one_plain_line(data, tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.json").write_text("[1]")
    (tmp_path / "raw" / "Mets_001").mkdir(parents=True)
    (tmp_path / "raw" / "Mets_001" / "bravo.nii.gz").touch()
    if "--start-from" in options:
        random_weights(tmp_path / "weights")
        options = [*options, "--architecture", "quartet_wide"]
    assert main(["--data", str(data), "--out", "run", *SMALL, "--steps", "2", *options]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_one_plain_line(data, tmp_path, capsys):
    assert main(["--data", str(data), "--out", str(tmp_path), "--device", "cuda"]) == 2
    assert "torch finds no CUDA device here" in capsys.readouterr().err


def test_the_help_says_when_the_state_is_written(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "at the end of each epoch (--steps-per-epoch), before and after its validation, state.pt" in said
    assert "the same line goes on, also after Ctrl-C" in said
    assert "default 500; after as many it validates, keeps the best weights and writes its state" in said


IMPOSSIBLE = [
    "--validate-on",
    "--steps 0",
    "--batch -2",
    "--crop-px x",
    "--validation 1.5",
    "--seed -1",
    "--workers -1",
    "--threads -1",
]


@pytest.mark.parametrize("option", [text.split() for text in IMPOSSIBLE])
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


@pytest.mark.parametrize(
    "raw",
    [
        {"steps": "many"},
        {"steps": 1.5},
        {"batch": 0},
        {"seed": -1},
        {"seed": True},
        {"crop_px": 100},
        {"crop_px": 264},
        {"full_share": 1.5},
        {"learning_rate": float("nan")},
        {"mixed_precision": 1},
        {"architecture": "unet"},
        {"sequences": ["X"]},
        {"sequences": ["FLAIR", "FLAIR"]},
        {"sequences": []},
        {"validation_subsets": [[True]]},
        {"validation_subsets": [[False] * 4]},
        {"validation_subsets": []},
        {"normalisation": {"kind": "z-score"}},
    ],
)
def test_values_that_cannot_be_trained_with_are_named(raw):
    with pytest.raises(TrainingError, match=next(iter(raw))):
        numbers.from_json(json.dumps(raw))


@pytest.mark.parametrize("raw", [{"gain": "x"}, {"scale": [0, 1]}, {"gamma": [2, 1]}, {"noise": -1}])
def test_random_changes_that_cannot_be_are_named(raw):
    with pytest.raises(TrainingError, match=next(iter(raw))):
        numbers.from_json(json.dumps({"augmentation": raw}))


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
