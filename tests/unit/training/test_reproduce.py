"""The study: its networks train and are compared, and the table tells what was done."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.study import option, small
from support.weights import random_card

from training import reproduce
from training.configuration import from_json

pytestmark = pytest.mark.timeout(600)
"""On a busy machine."""


@pytest.mark.parametrize(("gpu", "cores", "abreast", "threads"), [(False, 6, 2, 3), (False, 1, 0, 0), (True, 6, 0, 0)])
def test_networks_train_side_by_side_where_cores_are_theirs_alone(
    tmp_path, monkeypatch, called, gpu, cores, abreast, threads
):
    """A GPU is best kept busy by one, and DeepLab V3 takes longer than both others."""
    monkeypatch.setattr(reproduce.torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(reproduce.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    together = []
    side_by_side = reproduce._commands
    monkeypatch.setattr(reproduce, "_commands", lambda m, a: (together.extend(a), side_by_side(m, a)))
    cohort = tmp_path / "cohort"
    monkeypatch.setattr(reproduce, "Predictor", lambda weights: SimpleNamespace(weights=weights, card=random_card()))
    found = reproduce.networks(reproduce.SMALL, cohort, tmp_path / "out")
    assert list(found) == ["DeepLab V3", "without dropout", "ILD"]
    assert together == ["comparator", "ild"][:abreast]
    assert sorted(Path(option(arguments, "--out")).name for arguments in called) == ["comparator", "deeplab", "ild"]
    given = [option(arguments, "--threads") for arguments in called if "--threads" in arguments]
    assert given == [str(threads)] * abreast


@pytest.mark.usefixtures("two_cores")
def test_a_network_that_is_finished_leaves_the_cores_to_the_other(tmp_path, monkeypatch, called):
    study, out = replace(reproduce.SMALL, deeplab=None), tmp_path / "out"
    (out / "runs" / "ild").mkdir(parents=True)
    (out / "runs" / "comparator").mkdir()
    torch.save({"step": study.steps}, out / "runs" / "comparator" / "state.pt")
    torch.save({"step": study.steps // 2}, out / "runs" / "ild" / "state.pt")
    monkeypatch.setattr(reproduce, "Predictor", lambda weights: SimpleNamespace(weights=weights, card=random_card()))
    reproduce.networks(study, tmp_path / "cohort", out)
    assert [Path(option(arguments, "--out")).name for arguments in called] == ["comparator", "ild"]
    assert not any("--threads" in arguments for arguments in called)


def test_a_broken_state_is_one_plain_line(tmp_path, called, capsys):
    assert small(tmp_path) == 0
    (tmp_path / "runs" / "comparator" / "state.pt").write_bytes(b"torn")
    assert small(tmp_path) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        f"training.reproduce: a step failed ({tmp_path / 'runs' / 'comparator' / 'state.pt'} is no state"
    )
    assert said.endswith("remove it to begin anew)\n")


def test_a_killed_training_is_named_with_its_likely_cause(tmp_path, monkeypatch, called, capsys):
    """It had no time to say why itself."""
    codes = {"comparator": 0, "ild": -9}
    monkeypatch.setattr(reproduce, "_commands", lambda module, _: reproduce._require_success(module, codes))
    assert small(tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "training.train of ild was killed, as happens for want of memory: the same line goes on" in said


def test_ctrl_c_says_that_the_same_line_goes_on(tmp_path, monkeypatch, called, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduce, "_command", interrupted)
    assert small(tmp_path / "out") == 130
    assert capsys.readouterr().err == (
        f"training.reproduce: stopped; the same line goes on with what stands in {tmp_path / 'out'}\n"
    )


def test_the_settings_of_the_study_come_with_the_package():
    settings = from_json(reproduce.SETTINGS.read_text())
    assert (settings.architecture, settings.steps) == (reproduce.PAPER.architecture, reproduce.PAPER.steps)
    assert settings.steps_per_epoch == reproduce.PAPER.steps // reproduce.VALIDATIONS


@pytest.mark.parametrize("name", ["table.md", "study.json", "subsets/table.md"])
def test_a_full_disk_is_one_plain_line(tmp_path, called, capsys, name):
    """It names the file, and what lay there stays."""
    (tmp_path / "subsets").mkdir()
    (tmp_path / name).write_text("of an earlier study\n")
    (tmp_path / f"{name}.new").symlink_to("/dev/full")
    assert small(tmp_path) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"training.reproduce: {tmp_path / name} cannot be read or written (No space left on device): make room there "
        "or mend its rights, and give the same line again"
    )
    assert (tmp_path / name).read_text() == "of an earlier study\n"


@pytest.mark.parametrize("went_on", [True, False])
def test_the_table_tells_of_the_networks_that_answer(went_on):
    """Whatever this call asked for: a run that stands in the folder may be another."""
    card = random_card(configuration={"steps": 120}, mirror=went_on)
    cards = {"ILD": card}
    split = {"train": ["a", "b", "c"], "validation": ["validation/a"], "test": []}
    told = reproduce.conditions(cards, split, 2, went_on=went_on)
    assert told.startswith(
        "3 patients of site A train; 1 of site B validate, 2 test, without BRAVO. "
        "quartet_light, with and without dropout: 120 steps"
    )
    cards["DeepLab V3"] = replace(card, architecture="deeplabv3_resnet50")
    told = reproduce.conditions(cards, split, 2, went_on=went_on)
    assert ". quartet_light, with and without dropout, and deeplabv3_resnet50: 120 steps each" in told
    assert ("after those of an earlier study, mean with the mirror image" in told) is went_on


def test_the_small_study_and_the_whole_have_folders_of_their_own():
    """In one folder the second would take the networks of the first."""
    folders = re.findall(r"training\.reproduce .*--out (\S+)", (Path(__file__).parents[3] / "Makefile").read_text())
    assert len(folders) == len(set(folders)) == 2


def test_no_steps_are_refused_before_anything_is_made(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        reproduce.main(["--small", "--steps", "0", "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "0 is no whole number above 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "file/out"], "--out file/out cannot be made: Not a directory"),
        (["--out", "out", "--configuration", "none.json"], "none.json cannot be read: No such file or directory"),
        (["--out", "out", "--configuration", "settings.json"], "settings.json: unknown in the configuration: stepz"),
        (["--out", "out", "--anatomy", "nowhere"], "--anatomy nowhere: no label maps (*.nii.gz) there"),
    ],
)
def test_what_cannot_be_used_is_one_plain_line(tmp_path, monkeypatch, called, capsys, options, words):
    """Before anything is made: the patients alone would take an hour."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "settings.json").write_text('{"stepz": 1}')
    assert reproduce.main(["--small", *options]) == 1
    assert capsys.readouterr().err == f"training.reproduce: a step failed ({words})\n"
    assert not (tmp_path / "out").exists()
    assert called == []


def test_an_unknown_architecture_is_refused_before_anything_is_made(tmp_path, called, capsys):
    with pytest.raises(SystemExit) as ended:
        small(tmp_path / "out", "--architecture", "unet")
    assert ended.value.code == 2
    assert "argument --architecture: invalid choice: 'unet'" in capsys.readouterr().err
    assert called == []
    assert not (tmp_path / "out").exists()


def test_one_network_is_not_trained_twice_under_two_names(tmp_path, called, capsys):
    with pytest.raises(SystemExit):
        small(tmp_path, "--architecture", "deeplabv3_resnet50", "--deeplab", "deeplabv3_resnet50")
    assert "argument --deeplab: deeplabv3_resnet50 without dropout is trained already" in capsys.readouterr().err


def test_the_study_as_it_comes_compares_ild_with_both_networks(tmp_path, monkeypatch, called):
    """Its boxes show the thresholds of the rule that is said to be shown."""
    drawn = {}
    monkeypatch.setattr(reproduce.figures, "write_boxes", lambda scores, _: drawn.update(scores))
    assert small(tmp_path, "--deeplab", reproduce.SMALL.deeplab) == 0
    study = json.loads((tmp_path / "study.json").read_text())
    assert list(study) == ["DeepLab V3", "without dropout", "ILD"]
    for name, rules in study.items():
        assert list(rules) == ["youden", "dice", "one-se"]
        assert [one.dice for one in drawn[name]] == [one["dice"] for one in rules[reproduce.SHOWN]["each"]]
        points = rules[reproduce.SHOWN]["free_response"]
        assert [point["threshold"] for point in points] == reproduce.free_response.THRESHOLDS.tolist()
        assert {point["lesions"] for point in points} == {rules[reproduce.SHOWN]["lesions"]}
        assert "free_response" not in rules["youden"]
    table = (tmp_path / "table.md").read_text()
    equal = table.split(reproduce.free_response.EXPLAINED)[1].strip().splitlines()[2:5]
    assert [line.split(" | ")[0] for line in equal] == [f"| {name}" for name in study]
    assert {path.stem for path in tmp_path.glob("figure-4-froc.*")} == {"figure-4-froc"}
    assert "quartet_light, with and without dropout, and deeplabv3_mobilenet_v3_large: 120 steps each" in table
    for other in ("DeepLab V3", "without dropout"):
        assert table.count(f"| p, ILD and {other}, signed-rank |") == 3
