"""Fixtures of the tests that train: two small patients, and one thread."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.patients import write_patient


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
