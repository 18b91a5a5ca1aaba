"""Who trains and who validates: by site as in the paper, or by shares; nobody twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.split import Split, split


def test_the_papers_split_trains_on_one_site():
    sites = {f"a{n}": "A" for n in range(100)} | {f"b{n}": "B" for n in range(65)}
    chosen = split(sites, validation=10, test=55, train_site="A")
    assert (len(chosen.train), len(chosen.validation), len(chosen.test)) == (100, 10, 55)
    assert {sites[name] for name in chosen.train} == {"A"}
    assert {sites[name] for name in (*chosen.validation, *chosen.test)} == {"B"}


@given(st.integers(2, 60), st.floats(0.01, 0.4), st.floats(0, 0.3), st.integers(0, 5))
def test_everybody_stands_once_and_the_seed_decides(count, validation, test, seed):
    sites = {f"p{n}": "" for n in range(count)}
    chosen = split(sites, validation=validation, test=test, seed=seed)
    assert sorted([*chosen.train, *chosen.validation, *chosen.test]) == sorted(sites)
    assert chosen == split(dict(reversed(sites.items())), validation=validation, test=test, seed=seed)


def test_too_few_patients_are_refused():
    with pytest.raises(ValueError, match="two are the least"):
        split({"p": ""})


def test_a_patient_in_two_parts_is_refused():
    with pytest.raises(ValueError, match="twice"):
        Split(train=("p",), validation=("p",), test=())
