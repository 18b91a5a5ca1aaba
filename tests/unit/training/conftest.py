"""Fixtures of the tests that train: two small patients, one thread, and a study that takes no hours."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.patients import write_patient
from support.study import one_by_one, option
from support.weights import random_weights

from model.channels import SEQUENCES
from model.input_dropout import SubsetLaw
from training import reproduce, train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two patients on the model's grid."""
    folder = tmp_path_factory.mktemp("patients")
    for seed in (1, 2):
        write_patient(folder, seed, slices=6)
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small networks are slower on many, and sums come out in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def called(monkeypatch):
    """The commands that the study calls; here each makes at once what it would make in hours: small and random."""
    calls = []

    def command(module, *arguments):
        calls.append((module, *arguments))
        out = Path(option(arguments, "--out"))
        if module == "training.cohort" and not out.exists():
            for seed in (1, 2):
                write_patient(out, seed, slices=2, absent=(0,) * (out.name in ("validation", "test")))
        if module == "training.train" and not (out / "state.pt").exists():
            comparator = {"sequences": SEQUENCES[1:], "subset_law": SubsetLaw.NONE}
            changes = comparator if "--without-dropout" in arguments else {}
            changes["architecture"] = option(arguments, "--architecture")
            random_weights(out / "weights", configuration={"steps": 120}, **changes)
            steps = int(option(arguments, "--steps"))
            (out / "split.json").write_text(json.dumps({"train": ["0001", "0002"], "validation": ["0001", "0002"]}))
            torch.save({"step": steps}, out / "state.pt")

    monkeypatch.setattr(reproduce, "_command", command)
    monkeypatch.setattr(reproduce, "_commands", one_by_one(command))
    monkeypatch.setattr(reproduce, "all_subsets", lambda: [reproduce.WITHOUT_BRAVO])
    return calls


@pytest.fixture
def two_cores(monkeypatch):
    """And no GPU, whatever there is."""
    monkeypatch.setattr(reproduce.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(reproduce.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)


@pytest.fixture
def quick_validation(monkeypatch):
    """Validation by a list of scores instead of whole volumes; the last one goes on for ever."""

    def use(*scores: float) -> None:
        left = list(scores)
        monkeypatch.setattr(train, "validate", lambda *_: {"FLAIR": left.pop(0) if len(left) > 1 else left[0]})

    return use
