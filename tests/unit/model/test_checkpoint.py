"""Weights are loaded only when they are whole, unaltered and of this form; else the error says what to do."""

import json

import pytest
import torch
from support.weights import random_card, random_weights

from model.card import CardError, from_json, to_json
from model.checkpoint import CARD_FILE, WEIGHTS_FILE, CheckpointError, load


def test_what_was_saved_comes_back(tmp_path):
    card = random_weights(tmp_path)
    first, second = load(tmp_path), load(tmp_path)
    assert first.card == card
    assert first.digest == second.digest
    assert not first.network.training
    inputs = torch.randn(1, 20, 32, 32)
    with torch.inference_mode():
        assert torch.equal(first.network(inputs), second.network(inputs))


@pytest.mark.parametrize("place", [0, 100, -1])
def test_weights_altered_by_one_byte_are_refused(tmp_path, place):
    random_weights(tmp_path)
    content = bytearray((tmp_path / WEIGHTS_FILE).read_bytes())
    content[place] ^= 1
    (tmp_path / WEIGHTS_FILE).write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="was altered"):
        load(tmp_path)


def test_another_threshold_is_another_digest(tmp_path):
    random_weights(tmp_path / "a")
    card = random_card()
    random_weights(tmp_path / "b", thresholds={**card.thresholds, "FLAIR": 0.3})
    assert load(tmp_path / "a").digest != load(tmp_path / "b").digest


@pytest.mark.parametrize("name", [WEIGHTS_FILE, CARD_FILE])
def test_a_missing_file_is_named(tmp_path, name):
    random_weights(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"form": 2},
        {"unknown": 1},
        {"subset_law": "sometimes"},
        {"thresholds": {"BRAVO": 0.5}},
        {"thresholds": None},
        {"sequences": ["T2"]},
        {"normalisation": {"kind": "z-score"}},
        {"normalisation": {"gain": "3"}},
    ],
    ids=str,
)
def test_a_foreign_card_is_refused(tmp_path, change):
    random_weights(tmp_path)
    raw = json.loads((tmp_path / CARD_FILE).read_text())
    (tmp_path / CARD_FILE).write_text(json.dumps({**raw, **change}))
    with pytest.raises(CheckpointError, match=r"card\.json cannot be used"):
        load(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path):
    random_weights(tmp_path)
    raw = json.loads((tmp_path / CARD_FILE).read_text())
    (tmp_path / CARD_FILE).write_text(json.dumps({**raw, "sequences": ["BRAVO"]}))
    with pytest.raises(CheckpointError, match="does not hold a network"):
        load(tmp_path)


def test_a_threshold_outside_of_probability_is_refused():
    thresholds = {**random_card().thresholds, "FLAIR": 1.0}
    with pytest.raises(CardError, match="between 0 and 1"):
        random_card(thresholds=thresholds)


def test_a_card_survives_its_text():
    card = random_card(expected={"FLAIR": {"dice": 0.5}}, data=("made up",), configuration={"seed": 1})
    assert from_json(to_json(card)) == card
