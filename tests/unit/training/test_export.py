"""Export: thresholds from validation patients, expected metrics from test patients, a card that says so."""

import json

import pytest
from support.patients import write_patient
from support.weights import random_card, random_weights

from model.checkpoint import load
from training.export import main, with_thresholds
from training.model_card import model_card


def test_a_run_becomes_weights_with_thresholds_and_metrics(tmp_path):
    random_weights(tmp_path / "run" / "weights")
    for seed, part in ((1, "val"), (2, "test")):
        write_patient(tmp_path / part, seed, slices=4, absent=(0, 1))
    options = ["--validation", str(tmp_path / "val"), "--test", str(tmp_path / "test"), "--version", "9.9.9"]
    assert main([str(tmp_path / "run"), *options, "--out", str(tmp_path / "out"), "--data-source", "made up"]) == 0
    card = load(tmp_path / "out").card
    assert card.version == "9.9.9"
    assert card.data == ("made up",)
    assert set(card.expected) == {"POST_CUBE+FLAIR", "POST_CUBE", "FLAIR"}
    measured = json.loads((tmp_path / "out" / "evaluation" / "evaluation.json").read_text())["subsets"]
    assert card.expected["FLAIR"]["dice"] == pytest.approx(measured["FLAIR"]["summary"]["dice"]["mean"], abs=1e-4)
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "Research use only" in readme
    assert card.weights_sha256 in readme
    assert f"{card.expected['FLAIR']['dice']:.3f}" in readme
    assert "pooled on 1 validation patients; borrowed" in card.threshold_rule


def test_a_subset_that_nobody_had_borrows_from_its_neighbour():
    card = with_thresholds(random_card(), {"POST_CUBE+FLAIR": 0.3, "FLAIR": 0.7}, "rule")
    assert card.thresholds["PRE_CUBE+POST_CUBE+FLAIR"] == 0.3
    assert card.thresholds["FLAIR"] == 0.7
    assert "BRAVO+FLAIR" in card.threshold_rule


def test_no_weights_is_one_plain_line(tmp_path, capsys):
    write_patient(tmp_path / "val", 1, slices=4)
    assert main([str(tmp_path), "--validation", str(tmp_path / "val"), "--out", str(tmp_path), "--version", "1"]) == 2
    assert "card.json cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("mirror", [True, False])
def test_the_card_says_whether_the_mirror_image_answers_too(mirror):
    assert ("mean over the stack and its left-right mirror image" in model_card(random_card(mirror=mirror))) is mirror
