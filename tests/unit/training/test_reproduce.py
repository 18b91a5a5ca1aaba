"""The study: a head that trains never tests."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.weights import random_card

from training import reproduce
from training.configuration import from_json
from training.reproduce import share_heads


def test_heads_are_shared_out_without_overlap(tmp_path):
    maps = tmp_path / "maps"
    maps.mkdir()
    for number in range(20):
        (maps / f"{number:02d}.nii.gz").touch()
    folders = share_heads(maps, tmp_path / "out")
    named = {share: sorted(path.name for path in folder.iterdir()) for share, folder in folders.items()}
    assert {share: len(names) for share, names in named.items()} == {"train": 14, "validation": 2, "test": 4}
    assert len({name for names in named.values() for name in names}) == 20
    assert share_heads(maps, tmp_path / "out") == folders


def test_without_label_maps_there_is_nothing_to_share(tmp_path):
    assert share_heads(None, tmp_path) == {}


def test_two_heads_are_too_few(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.nii.gz").touch()
    with pytest.raises(ValueError, match="three are the least"):
        share_heads(tmp_path, tmp_path / "out")


def test_a_later_study_goes_on_from_the_networks_and_patients_of_an_earlier(tmp_path, monkeypatch):
    first = tmp_path / "first"
    for folder in ("cohort", "runs"):
        (first / folder).mkdir(parents=True)
    called = []
    monkeypatch.setattr(reproduce, "_command", lambda *arguments: called.append(arguments))
    monkeypatch.setattr(reproduce, "Predictor", lambda weights: SimpleNamespace(weights=weights, card=random_card()))
    study = replace(reproduce.SMALL, configuration=tmp_path / "settings.json", start_from=first, mirror=True)
    networks = reproduce.networks(study, first / "cohort", tmp_path / "out")
    assert all(network.card.mirror for network in networks.values())
    assert [arguments[0] for arguments in called] == ["training.train", "training.train"]
    for name, arguments in zip(("comparator", "ild"), called, strict=True):
        assert _option(arguments, "--data") == str(first / "cohort" / "train")
        assert _option(arguments, "--start-from") == str(first / "runs" / name / "weights")
        assert _option(arguments, "--out") == str(tmp_path / "out" / "runs" / name)
        assert _option(arguments, "--configuration") == str(tmp_path / "settings.json")
        assert _option(arguments, "--steps-per-epoch") == str(reproduce.SMALL.steps // 4)
    assert "--without-dropout" in called[0]
    assert "--without-dropout" not in called[1]


def test_the_settings_of_the_study_come_with_the_package():
    settings = from_json(reproduce.SETTINGS.read_text())
    assert (settings.architecture, settings.steps) == (reproduce.PAPER.architecture, reproduce.PAPER.steps)
    assert settings.steps_per_epoch == reproduce.PAPER.steps // reproduce.VALIDATIONS


def test_a_folder_that_is_no_report_is_one_plain_line(tmp_path, capsys):
    assert reproduce.main(["--small", "--start-from", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "no report of this command" in capsys.readouterr().err


@pytest.mark.parametrize("went_on", [True, False])
def test_the_table_tells_of_the_networks_that_answer(went_on):
    """Whatever this call asked for: a run that stands in the folder may be another."""
    card = random_card(configuration={"steps": 120}, mirror=went_on)
    split = {"train": ["a", "b", "c"], "validation": ["validation/a"], "test": []}
    told = reproduce.conditions(card, split, 2, went_on=went_on)
    assert told.startswith(
        "3 patients of site A train; 1 of site B validate, 2 test, without BRAVO. quartet_light, 120 steps"
    )
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
        (["--out", "out", "--anatomy", "nowhere"], "--anatomy nowhere: no label maps (*.nii.gz) there"),
    ],
)
def test_what_cannot_be_used_is_one_plain_line(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert reproduce.main(["--small", *options]) == 1
    assert capsys.readouterr().err == f"training.reproduce: a step failed ({words})\n"


def test_a_command_that_fails_ends_the_study(tmp_path, capfd):
    (tmp_path / "settings.json").write_text("{")
    options = ["--steps", "1", "--configuration", str(tmp_path / "settings.json"), "--start-from", str(tmp_path)]
    for folder in ("cohort", "runs"):
        (tmp_path / folder).mkdir()
    assert reproduce.main(["--small", *options, "--out", str(tmp_path / "out")]) == 1
    said = capfd.readouterr().err.splitlines()
    assert "settings.json" in said[-2]
    assert said[-1] == "training.reproduce: a step failed (training.train says why, above)"


def _option(arguments, name):
    return arguments[arguments.index(name) + 1]
