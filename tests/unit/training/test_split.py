"""Who trains and who validates: by site as in the paper, or by shares; nobody twice, whatever the exams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import TrainingError
from training.split import Split, split

EARLIER = ("01", "05", "06", "00", "09", "04", "07", "02", "08", "03")


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
    with pytest.raises(ValueError, match="two persons are the least"):
        split({"p": ""})


@pytest.mark.parametrize(("validation", "test"), [(0.6, 0.5), (1, 0), (0.5, 0.5), (-0.1, 0.2), (0.1, -0.2)])
def test_shares_that_leave_nobody_to_train_are_refused(validation, test):
    with pytest.raises(TrainingError, match="are no shares of the persons"):
        split({f"p{n}": "" for n in range(10)}, validation=validation, test=test)


def test_a_patient_in_two_parts_is_refused():
    with pytest.raises(ValueError, match="twice"):
        Split(train=("p",), validation=("p",), test=())


@given(st.lists(st.integers(0, 9), min_size=12, max_size=40).filter(lambda owners: len(set(owners)) > 2), st.booleans())
def test_the_exams_of_a_person_stand_in_one_part(owners, sited):
    """UCSF's 100101A and 100101B, BraTS' -000 and -001, the sessions of BIDS: one head each."""
    subjects = {f"exam{n}": f"person{owner}" for n, owner in enumerate(owners)}
    sites = {name: "A" if subjects[name] == f"person{owners[0]}" else "B" for name in subjects}
    chosen = split(sites, subjects=subjects, validation=0.3, test=0.3, train_site="A" if sited else "")
    parts = [{subjects[name] for name in part} for part in (chosen.train, chosen.validation, chosen.test)]
    assert sum(len(part) for part in parts) == len(set(owners))
    assert sorted([*chosen.train, *chosen.validation, *chosen.test]) == sorted(subjects)


def test_a_person_seen_at_two_sites_trains():
    chosen = split({"p1": "A", "p2": "B", "q": "B"}, subjects={"p1": "p", "p2": "p"}, train_site="A")
    assert (set(chosen.train), chosen.validation) == ({"p1", "p2"}, ("q",))


def test_patients_that_are_a_person_each_are_split_as_ever():
    """Earlier runs stay what they are: this is what 0.4 drew."""
    sites = {f"{n:02d}": "AB"[n % 2] for n in range(10)}
    chosen = split(sites, subjects={name: name for name in sites}, validation=0.2, test=0.1, seed=3)
    assert chosen == Split(train=EARLIER[3:], validation=EARLIER[:2], test=EARLIER[2:3])


def test_without_shares_all_of_the_other_site_validate():
    chosen = split({"a": "A", "b": "B", "c": "B"}, validation=0, test=0, train_site="A")
    assert (chosen.train, set(chosen.validation), chosen.test) == (("a",), {"b", "c"}, ())


def test_a_site_that_is_not_there_is_named():
    with pytest.raises(TrainingError, match=r"--train-site C \(sites here: A, B\)"):
        split({"a": "A", "b": "B"}, train_site="C")
