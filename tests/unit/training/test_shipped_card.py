"""The card of the weights of this release: as people read it, and as it was measured."""

import json
from pathlib import Path

import pytest

from model.checkpoint import load
from training import evaluate
from training.export import KEPT_METRICS
from training.model_card import model_card
from worker.inference.predict import default_weights

MEASURED = Path(evaluate.__file__).parent / "study" / "served" / "evaluation.json"


def test_the_card_that_people_read_is_the_card() -> None:
    assert (default_weights() / "README.md").read_text() == model_card(load(default_weights()).card)


def test_the_numbers_of_the_card_are_those_of_the_evaluation() -> None:
    card, report = load(default_weights()).card, json.loads(MEASURED.read_text())
    assert card.version in report["title"]
    assert set(card.expected) == set(report["subsets"])
    for name, found in report["subsets"].items():
        assert card.thresholds[name] == pytest.approx(found["threshold"])
        for metric, kept in KEPT_METRICS.items():
            assert card.expected[name][kept] == pytest.approx(found["summary"][metric]["mean"], abs=1e-4)
