"""The goals of the benchmark on real headers, where the files lie beside the repository (else skipped)."""

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[4]


def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_slots", ROOT / "tests" / "bench" / "slots.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("change", "share"), [("as they are", 0.99), ("text removed", 0.97), ("order shuffled", 0.99)])
def test_goals_on_real_studies(change: str, share: float) -> None:
    """Right in nearly all, never swapped, and nothing else in a slot."""
    module = bench()
    path = module.find("studies.jsonl")
    if path is None:
        pytest.skip("shared/data/headers is not beside this repository")
    studies = module.PERTURBATIONS[change](module.lines(path), random.Random(1))
    score = module.evaluate(studies)
    assert score.right >= share * score.wanted
    assert score.swaps == 0
    assert score.intruders <= 0.002 * score.others


@pytest.mark.parametrize("change", list(bench().PERTURBATIONS))
def test_whatever_is_missing_or_malformed_in_real_studies_nothing_lands_in_a_wrong_slot(change: str) -> None:
    """It may abstain; pre never becomes post, and nothing else becomes an input."""
    module = bench()
    path = module.find("studies.jsonl")
    if path is None:
        pytest.skip("shared/data/headers is not beside this repository")
    for seed in range(3):
        score = module.evaluate(module.PERTURBATIONS[change](module.lines(path), random.Random(seed)))
        assert score.wrong == 0
        assert score.intruders == 0


def test_goals_on_single_series_of_many_sites() -> None:
    """No diffusion, perfusion, T2, ... in a slot; FLAIR and post-Gd gradient echoes in theirs."""
    module = bench()
    path = module.find("series.jsonl")
    if path is None:
        pytest.skip("shared/data/headers is not beside this repository")
    assert module.single_series(module.lines(path), module.Console(quiet=True))
