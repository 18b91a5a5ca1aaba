"""A study that goes on from the networks and patients of an earlier report."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.study import a_report, one_by_one, option, small
from support.weights import random_card

from training import reproduce

pytestmark = pytest.mark.timeout(600)
"""On a busy machine."""


@pytest.mark.usefixtures("two_cores")
def test_a_later_study_goes_on_from_the_networks_and_patients_of_an_earlier(tmp_path, monkeypatch):
    first = tmp_path / "first"
    for folder in ("cohort", "runs"):
        (first / folder).mkdir(parents=True)
    called = []
    monkeypatch.setattr(reproduce, "_command", lambda *arguments: called.append(arguments))
    monkeypatch.setattr(reproduce, "_commands", one_by_one(reproduce._command))
    monkeypatch.setattr(reproduce, "Predictor", lambda weights: SimpleNamespace(weights=weights, card=random_card()))
    study = replace(reproduce.SMALL, configuration=tmp_path / "settings.json", start_from=first, mirror=True)
    networks = reproduce.networks(study, first / "cohort", tmp_path / "out")
    assert all(network.card.mirror for network in networks.values())
    assert [arguments[0] for arguments in called] == ["training.train"] * 3
    for name, arguments in zip(("comparator", "ild", "deeplab"), called, strict=True):
        assert option(arguments, "--data") == str(first / "cohort" / "train")
        assert option(arguments, "--start-from") == str(first / "runs" / name / "weights")
        assert option(arguments, "--out") == str(tmp_path / "out" / "runs" / name)
        assert option(arguments, "--configuration") == str(tmp_path / "settings.json")
        assert option(arguments, "--steps-per-epoch") == str(reproduce.SMALL.steps // 4)
    assert ["--without-dropout" in arguments for arguments in called] == [True, False, True]
    architectures = [option(arguments, "--architecture") for arguments in called]
    assert architectures == ["quartet_light", "quartet_light", "deeplabv3_mobilenet_v3_large"]


def test_a_report_that_went_on_can_be_gone_on_from(tmp_path, called, capsys):
    """With the patients of the first, to which each later one refers; those that lie together can be moved together."""
    reports = tmp_path / "reports"
    assert small(reports / "first") == 0
    assert small(reports / "second", "--start-from", reports / "first") == 0
    assert ", after those of an earlier study" in (reports / "second" / "table.md").read_text()
    assert json.loads((reports / "second" / "origin.json").read_text()) == {
        "cohort": "../first/cohort",
        "start_from": "../first",
    }
    moved = reports.rename(tmp_path / "moved")
    called.clear()
    assert small(moved / "third", "--start-from", moved / "second") == 0
    assert [arguments[0] for arguments in called] == ["training.train"] * 2
    assert all(option(arguments, "--data") == str(moved / "first" / "cohort" / "train") for arguments in called)
    (moved / "first").rename(tmp_path / "elsewhere")
    assert small(tmp_path / "fourth", "--start-from", moved / "third") == 1
    said = capsys.readouterr().err
    assert f"its patients lay in {moved / 'first' / 'cohort'}, which is gone" in said
    assert str(moved / "third" / "origin.json") in said


def test_networks_that_began_otherwise_are_not_said_to_go_on(tmp_path, called, capsys):
    """Training goes on with what stands in the folder, whatever --start-from says; the table would tell of another."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert small(first) == small(second, "--start-from", first) == 0
    assert small(first) == small(second, "--start-from", first) == 0
    a_report(tmp_path / "alone")
    tables = [(folder / "table.md").read_bytes() for folder in (first, second)]
    called.clear()
    for out, options, words in (
        (first, ["--start-from", first], f"--start-from {first} is --out itself"),
        (first, ["--start-from", second], "began without --start-from"),
        (second, [], f"began with --start-from {first}"),
        (second, ["--start-from", tmp_path / "alone"], f"began with --start-from {first}"),
    ):
        assert small(out, *options) == 1
        assert words in capsys.readouterr().err
    assert called == []
    assert [(folder / "table.md").read_bytes() for folder in (first, second)] == tables


def test_networks_of_which_nothing_is_known_do_not_go_on(tmp_path, called, capsys):
    """A report of an earlier release that went on has neither patients nor a word of them."""
    (tmp_path / "runs" / "ild").mkdir(parents=True)
    (tmp_path / "runs" / "ild" / "state.pt").touch()
    assert small(tmp_path) == 1
    assert "no origin.json that says how they began: give another --out" in capsys.readouterr().err
    assert called == []


@pytest.mark.parametrize("gone", ["cohort/held-out", "cohort/validation", "runs/comparator/weights"])
def test_what_an_earlier_report_lacks_is_found_first(tmp_path, called, capsys, gone):
    a_report(tmp_path / "first")
    (tmp_path / "first" / gone).rename(tmp_path / "gone")
    assert small(tmp_path / "out", "--start-from", tmp_path / "first") == 1
    assert f"it lacks {tmp_path / 'first' / gone})" in capsys.readouterr().err
    assert called == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"cohort": 3, "start_from": null}'])
def test_an_origin_that_cannot_be_read_is_one_plain_line(tmp_path, capsys, content):
    (tmp_path / "origin.json").write_text(content)
    assert small(tmp_path / "out", "--start-from", tmp_path) == 1
    assert capsys.readouterr().err.startswith(f"training.reproduce: a step failed ({tmp_path / 'origin.json'} is no")


def test_label_maps_beside_the_patients_of_an_earlier_report_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        small(tmp_path / "out", "--start-from", tmp_path, "--anatomy", tmp_path)
    assert "argument --anatomy: with --start-from its patients serve" in capsys.readouterr().err


def test_a_folder_that_is_no_report_is_one_plain_line(tmp_path, capsys):
    assert reproduce.main(["--small", "--start-from", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "no report of this command" in capsys.readouterr().err


def test_a_report_without_deeplab_goes_on_without_it(tmp_path, called, capsys):
    """As those of earlier releases are."""
    a_report(tmp_path / "first")
    shutil.rmtree(tmp_path / "first" / "runs" / "deeplab")
    wanted = ["--start-from", tmp_path / "first", "--deeplab", reproduce.SMALL.deeplab]
    assert small(tmp_path / "out", *wanted) == 1
    assert "runs/deeplab/weights (--deeplab none does without that network)" in capsys.readouterr().err
    assert called == []
    assert small(tmp_path / "out", "--start-from", tmp_path / "first") == 0
    assert [Path(option(arguments, "--out")).name for arguments in called] == ["comparator", "ild"]
    assert "DeepLab V3" not in (tmp_path / "out" / "table.md").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--deeplab", "deeplabv3_resnet50"], "DeepLab V3 is a deeplabv3_mobilenet_v3_large, not a deeplabv3_resnet50"),
        (["--architecture", "quartet_wide"], "without dropout is a quartet_light, not a quartet_wide"),
    ],
)
def test_networks_of_other_architectures_do_not_go_on(tmp_path, called, capsys, options, words):
    """Said before the first of them trains for hours."""
    a_report(tmp_path / "first")
    assert small(tmp_path / "out", "--start-from", tmp_path / "first", *options) == 1
    assert f"--start-from {tmp_path / 'first'}: its {words}: ask for the same" in capsys.readouterr().err
    assert called == []


@pytest.mark.usefixtures("two_cores")
def test_a_command_that_fails_ends_the_study(tmp_path, capfd):
    a_report(tmp_path / "first")
    assert small(tmp_path / "out", "--steps", "1", "--start-from", tmp_path / "first") == 1
    said = capfd.readouterr()
    for name in ("comparator", "ild"):
        missing = tmp_path / "first" / "runs" / name / "weights"
        assert [line for line in said.out.splitlines() if line.startswith(f"{name}: ") and str(missing) in line]
    assert said.err == "training.reproduce: a step failed (training.train of comparator and ild says why, above)\n"
