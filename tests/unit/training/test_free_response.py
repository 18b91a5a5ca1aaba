"""The free-response curve agrees with independent implementations at each threshold, and networks are read off it."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import expit
from sklearn import metrics as sk
from support.probability import noisy_patient

from training import free_response as fr
from training.free_response import OperatingPoint


def point(threshold: float, found: int, false: float) -> OperatingPoint:
    return OperatingPoint(threshold=threshold, found=found, lesions=10, false=false, dice=0.5)


@pytest.mark.parametrize("seed", [0, 3])
def test_each_threshold_agrees_with_scipy_and_scikit_learn(seed: int) -> None:
    """Objects connected by corners too, from 10 mm3; a lesion outside what was measured is a lesion all the same."""
    probability, truth, inside = noisy_patient(seed)
    probability[10:15, 28:33, 10:15] *= 0.6  # one of the lesions
    probability = expit(60 * (probability - 0.5)).astype(np.float32)  # a sure network
    truth[3:5, 0:2, 20:23] = True
    found = fr.free_response(probability, truth, inside, voxel_volume_mm3=2.0)
    corners = np.ones((3, 3, 3))
    lesions, count = ndimage.label(truth, corners)
    assert found.lesions == count == 4
    for place, threshold in enumerate(fr.THRESHOLDS):
        called = (probability >= threshold) & inside
        objects, many = ndimage.label(called, corners)
        alone = [(objects == n).sum() for n in range(1, many + 1) if not (truth & (objects == n)).any()]
        assert found.false[place] == sum(size * 2.0 >= 10 for size in alone)
        assert found.found[place] == len(set(lesions[called]) - {0})
        assert found.dice[place] == pytest.approx(sk.f1_score(truth[inside], called[inside], zero_division=np.nan))
    assert len(set(found.false.tolist())) > 2
    assert (found.found[0], found.found[-1]) == (3, 2)


def test_a_patient_without_a_lesion_counts_for_false_objects_only() -> None:
    probability, truth, inside = noisy_patient(1)
    sick = fr.free_response(probability, truth, inside, 1.0)
    well = fr.free_response(np.zeros_like(probability), np.zeros_like(truth), inside, 1.0)
    assert np.isnan(well.dice).all()
    for alone, both in zip(fr.curve([sick]), fr.curve([sick, well]), strict=True):
        assert (both.found, both.lesions) == (alone.found, alone.lesions)
        assert both.false == alone.false / 2
        assert both.dice == pytest.approx(alone.dice, nan_ok=True)
    assert all(np.isnan(one.dice) and one.lesions == 0 for one in fr.curve([well]))
    assert fr.curve([]) == []


def test_networks_are_read_where_false_objects_have_become_few_for_good() -> None:
    """Objects break up as the threshold rises: at .3 there are fewer for once, and more again at .5."""
    points = [point(0.1, 10, 3.0), point(0.3, 9, 0.9), point(0.5, 8, 1.1), point(0.7, 7, 0.8), point(0.9, 5, 0.2)]
    chosen = {limit: fr.at_most(points, limit) for limit in (4.0, 1.1, 1.0, 0.5, 0.1)}
    assert {limit: one and one.threshold for limit, one in chosen.items()} == {
        4.0: 0.1,
        1.1: 0.3,
        1.0: 0.7,
        0.5: 0.9,
        0.1: None,
    }
    lines = fr.table({"ILD": points, "sure": [point(1 - 2e-5, 10, 0.7)]}).splitlines()
    assert lines[2] == (
        "| ILD | 5/10, Dice 0.500 (from 0.9: 0.2) | 7/10, Dice 0.500 (from 0.7: 0.8) "
        "| 9/10, Dice 0.500 (from 0.3: 0.9) | 10/10, Dice 0.500 (from 0.1: 3.0) |"
    )
    sure = "10/10, Dice 0.500 (from 1 - 2e-05: 0.7)"
    assert lines[3] == f"| sure | none | {sure} | {sure} | {sure} |"


def test_thresholds_are_told_apart_by_the_numbers_of_a_network() -> None:
    assert fr.THRESHOLDS[0] == pytest.approx(9.11e-4, rel=1e-3)
    assert len(set(fr.THRESHOLDS.astype(np.float32).tolist())) == len(fr.THRESHOLDS)
    assert fr.THRESHOLDS.astype(np.float32)[-1] < 1
