"""The paper's metrics agree with independent implementations and with cases counted by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy import stats as scipy_stats
from sklearn import metrics as sk
from support.probability import noisy_patient

from training.scores import (
    DICE_GIVEN_UP,
    Roc,
    dice_threshold,
    one_se_threshold,
    pooled_thresholds,
    roc,
    score,
    youden_threshold,
)
from training.statistics import compare, sensitivity_by_size, spread, table


def test_voxel_metrics_agree_with_scikit_learn() -> None:
    probability, truth, inside = noisy_patient()
    found = score(probability, truth, inside, threshold=0.5, voxel_volume_mm3=1.0)
    t, p = truth[inside], probability[inside] >= 0.5
    assert found.auc == pytest.approx(sk.roc_auc_score(t, probability[inside]), abs=1e-4)
    assert found.dice == pytest.approx(sk.f1_score(t, p))
    assert found.iou == pytest.approx(sk.jaccard_score(t, p))
    assert found.recall == pytest.approx(sk.recall_score(t, p))
    assert found.precision == pytest.approx(sk.precision_score(t, p))
    tn, fp, _, _ = sk.confusion_matrix(t, p).ravel()
    assert found.fpr == pytest.approx(fp / (fp + tn))


def test_false_positive_objects_agree_with_scipy() -> None:
    probability, truth, inside = noisy_patient(3)
    called = (probability >= 0.45) & inside
    labels, count = ndimage.label(called, structure=np.ones((3, 3, 3)))
    sizes = [(labels == n).sum() for n in range(1, count + 1) if not (truth & (labels == n)).any()]
    found = score(probability, truth, inside, threshold=0.45, voxel_volume_mm3=2.0)
    assert found.fp == len(sizes)
    assert found.fp_10mm3 == sum(size * 2.0 >= 10 for size in sizes)


def test_voxels_that_touch_by_a_corner_are_one_object_and_a_touching_object_is_no_false_positive() -> None:
    truth = np.zeros((8, 8, 8), dtype=bool)
    truth[1, 1, 1] = True
    probability = np.zeros(truth.shape, dtype=np.float32)
    for n in (1, 2, 3):
        probability[n, n, n] = 0.9
    probability[6, 6, 6] = 0.9
    found = score(probability, truth, np.ones_like(truth), threshold=0.5, voxel_volume_mm3=1.0)
    assert (found.fp, found.fp_10mm3, found.lesions, found.found) == (1, 0, 1, 1)


def test_the_youden_threshold_is_where_tpr_minus_fpr_is_greatest() -> None:
    probability, truth, inside = noisy_patient(1)
    fpr, tpr, thresholds = sk.roc_curve(truth[inside], probability[inside])
    best = (tpr - fpr).max()
    found = youden_threshold([roc(probability, truth, inside)])
    called = probability[inside] >= found
    assert called[truth[inside]].mean() - called[~truth[inside]].mean() == pytest.approx(best, abs=1e-3)
    assert len(thresholds) > 10


def test_the_dice_threshold_is_where_dice_is_greatest() -> None:
    probability, truth, inside = noisy_patient(2)
    found = dice_threshold([roc(probability, truth, inside)])
    t = truth[inside]

    def dice(threshold: float) -> float:
        return float(sk.f1_score(t, probability[inside] >= threshold))

    assert dice(found) >= max(dice(v) for v in np.linspace(0.05, 0.95, 91)) - 1e-3


def test_sensitivity_by_size_counts_each_lesion_in_its_class() -> None:
    probability, truth, inside = noisy_patient()
    found = score(probability, truth, inside, threshold=0.5, voxel_volume_mm3=1.0)
    assert sum(total for _, total in found.by_size.values()) == 3
    assert found.by_size["6-10 mm"] == (2, 2)
    assert sensitivity_by_size([found, found])["6-10 mm"] == (4, 4)


def test_a_patient_without_lesion_has_no_dice_but_false_positives() -> None:
    truth = np.zeros((6, 6, 6), dtype=bool)
    probability = np.zeros(truth.shape, dtype=np.float32)
    nothing = score(probability, truth, ~truth, threshold=0.5, voxel_volume_mm3=1.0)
    assert np.isnan(nothing.auc)
    assert np.isnan(nothing.dice)
    assert nothing.fp == 0


def test_the_tests_are_scipys() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.random(30), rng.random(30) + 0.2
    found = compare(list(a), list(b))
    assert found.rank_sum_p == pytest.approx(scipy_stats.ranksums(a, b).pvalue)
    assert found.signed_rank_p == pytest.approx(scipy_stats.wilcoxon(a, b).pvalue)
    assert compare(list(a), list(a)).signed_rank_p == 1.0


def test_spread_leaves_the_undefined_out() -> None:
    assert spread([1.0, 3.0, float("nan")]).mean == 2.0
    assert spread([float("nan")]).n == 0


def test_table_one_has_a_row_for_each_network_and_the_p_values() -> None:
    patients = [score(*noisy_patient(n), threshold=0.5, voxel_volume_mm3=1.0) for n in range(4)]
    assert len(table({"DeepLab V3": patients, "ILD": patients}).splitlines()) == 4, "none where none is tested"
    others = [replace(one, dice=one.dice / (2 + n)) for n, one in enumerate(patients)]
    lines = table({"DeepLab V3": others, "ILD": patients, "plain": patients}, tested="ILD").splitlines()
    heads, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in (lines[0], *lines[2:]))
    dice = {row[0]: row[heads.index("Dice")] for row in rows}
    assert list(dice)[:3] == ["DeepLab V3", "ILD", "plain"]
    expected = scipy_stats.ranksums([one.dice for one in patients], [one.dice for one in others]).pvalue
    assert dice["p, ILD and DeepLab V3, rank-sum"] == f"{expected:.3f}"
    assert dice["p, ILD and DeepLab V3, signed-rank"] == "0.125", "the least that four pairs can show"
    assert dice["p, ILD and plain, rank-sum"] == dice["p, ILD and plain, signed-rank"] == "1.000"


def test_the_auc_of_a_sure_network_counts_what_it_ranks_far_below_any_threshold() -> None:
    """Missed lesions at 1e-6 lie above background at 1e-20: bins of equal probability gave .83 here."""
    rng = np.random.default_rng(7)
    truth = np.zeros((10, 50, 50), dtype=bool)
    truth[4, 10:20, 10:20] = True
    logit = np.where(truth, rng.choice([-12.0, 9.0], truth.shape), -40) + rng.normal(0, 4, truth.shape)
    probability = (1 / (1 + np.exp(-logit))).astype(np.float32)
    exact = sk.roc_auc_score(truth.ravel(), probability.ravel())
    assert exact > 0.999
    assert roc(probability, truth, np.ones_like(truth)).auc == pytest.approx(exact, abs=1e-5)


def test_certainty_is_a_probability_too() -> None:
    truth = np.zeros((1, 8, 8), dtype=bool)
    truth[0, 0] = True
    counts = roc(truth.astype(np.float32), truth, np.ones_like(truth))
    assert (counts.positives[-1], counts.negatives[0]) == (8, 56)
    assert counts.auc == 1.0


def test_a_flat_curve_takes_the_common_threshold_and_a_sharp_one_keeps_its_own() -> None:
    truth = np.zeros((1, 40, 40), dtype=bool)
    truth[0, :10] = True
    everywhere = np.ones_like(truth)

    def curve(inside: float, outside: float) -> list:
        return [roc(np.where(truth, inside, outside).astype(np.float32), truth, everywhere)]

    rocs = {"flat": curve(0.95, 0.05), "sharp": curve(0.9, 0.8), "other": curve(0.9, 0.7)}
    found = pooled_thresholds(rocs)
    assert dice_threshold(rocs["flat"]) < 0.06, "the first of many that are as good"
    assert found["flat"] == found["sharp"] == found["other"]
    assert 0.89 < found["flat"] <= 0.9
    rocs["low"] = curve(0.3, 0.2)
    apart = pooled_thresholds(rocs)
    assert apart["flat"] == apart["sharp"] == apart["other"] == pytest.approx(found["flat"])
    assert 0.2 < apart["low"] <= 0.301
    for name, threshold in apart.items():
        inside, outside = {"flat": (0.95, 0.05), "sharp": (0.9, 0.8), "other": (0.9, 0.7), "low": (0.3, 0.2)}[name]
        dice = sk.f1_score(truth.ravel(), np.where(truth, inside, outside).ravel() >= threshold)
        assert dice >= 1 - DICE_GIVEN_UP, name


def test_a_subset_that_is_better_above_the_ceiling_has_the_ceiling() -> None:
    """One false object of one patient, which only .97 leaves out, does not set a threshold for everybody."""
    truth = np.zeros((1, 40, 40), dtype=bool)
    truth[0, :10] = True
    sure, other = (np.where(truth, inside, 0.05).astype(np.float32) for inside in (0.99, 0.95))
    other[0, 20:30] = 0.94
    everywhere = np.ones_like(truth)
    rocs = {"sure": [roc(sure, truth, everywhere)] * 5, "one": [roc(other, truth, everywhere)]}
    assert dice_threshold(rocs["one"]) > 0.93
    found = pooled_thresholds(rocs)
    assert found["one"] == pytest.approx(0.9, abs=1e-3)
    assert found["sure"] == pytest.approx(0.9, abs=1e-3)


def test_what_is_better_below_the_least_threshold_takes_its_best_above() -> None:
    """One side of the mirror image alone gives .5 at most: a curve may step there."""
    truth = np.zeros((1, 40, 40), dtype=bool)
    truth[0, :10] = True
    halves = np.where(truth, 0.5, 0.05).astype(np.float32)
    halves[0, :5] = 0.8
    rocs = {"sure": [roc(np.where(truth, 0.95, 0.05).astype(np.float32), truth, np.ones_like(truth))]}
    rocs["one side"] = [roc(halves, truth, np.ones_like(truth))]
    assert pooled_thresholds(rocs)["one side"] <= 0.5
    above = pooled_thresholds(rocs, least=0.75)
    assert 0.75 <= above["one side"] <= 0.8
    assert 0.75 <= above["sure"] <= 0.9


def test_a_subset_that_shows_nothing_takes_the_common_threshold_and_not_its_own_best() -> None:
    """Pre-Gd T1 alone: its curve is highest where it calls hundreds of voxels by chance."""
    truth = np.zeros((10, 50, 50), dtype=bool)
    truth[5, 20:30, 20:30] = True
    rng = np.random.default_rng(0)
    seeing = np.where(truth, 0.95, 0.05).astype(np.float32)
    blind = (0.01 * rng.random(truth.shape)).astype(np.float32)
    rocs = {name: [roc(found, truth, np.ones_like(truth))] for name, found in (("seeing", seeing), ("blind", blind))}
    assert dice_threshold(rocs["blind"]) < 0.01
    found = pooled_thresholds(rocs)
    assert found["blind"] == pytest.approx(found["seeing"])
    assert found["blind"] > 0.8


def test_what_finds_a_tenth_among_many_false_objects_takes_the_common_threshold_too() -> None:
    """Pre-Gd T1 alone of other weights: Dice .16 at its best, where eight of nine voxels that it calls are false."""
    truth = np.zeros((10, 50, 50), dtype=bool)
    truth[5, 20:30, 20:30] = True
    seeing = np.where(truth, 0.95, 0.05).astype(np.float32)
    faint = np.zeros(truth.shape, dtype=np.float32)
    faint[5, 20:23, 20:30] = faint[0, :5] = 0.01
    rocs = {name: [roc(found, truth, np.ones_like(truth))] for name, found in (("seeing", seeing), ("faint", faint))}
    assert dice_threshold(rocs["faint"]) <= 0.01
    assert pooled_thresholds(rocs)["faint"] > 0.8


def test_one_lesion_of_one_patient_does_not_move_the_threshold_by_one_standard_error() -> None:
    """Ten patients with other false objects each, of whom one has a lesion that is gone from .4 on."""
    truth = np.zeros((1, 40, 40), dtype=bool)
    truth[0, :10, :10] = True
    everywhere = np.ones_like(truth)

    def one(faint: float, false: int) -> Roc:
        probability = np.where(truth, 0.95, 0.01)
        probability[truth] = np.where(np.arange(100) < 50, 0.95, faint)
        probability[0, 20:].flat[:false] = 0.95
        return roc(probability.astype(np.float32), truth, everywhere)

    rocs = [one(0.4 if n == 9 else 0.949 - 0.001 * n, 14 * n) for n in range(10)]
    assert dice_threshold(rocs) <= 0.4
    assert one_se_threshold(rocs) == pytest.approx(0.9, abs=1e-3)
    half = [one(0.4 if n % 2 else 0.95, 14 * n) for n in range(10)]
    assert one_se_threshold(half) == pytest.approx(0.4, abs=1e-3), "a lesion of each second patient does"
    assert one_se_threshold(rocs[-1:]) == pytest.approx(0.4, abs=1e-3), "one patient has no error to tell"


def test_the_one_standard_error_rule_agrees_with_its_definition() -> None:
    rng = np.random.default_rng(11)
    truth = np.zeros((1, 40, 40), dtype=bool)
    truth[0, :10, :10] = True
    found = [
        np.clip(np.where(truth, rng.normal(0.7, 0.2, truth.shape), rng.normal(0.1, 0.1 + 0.03 * n, truth.shape)), 0, 1)
        for n in range(10)
    ]
    rocs = [roc(one.astype(np.float32), truth, np.ones_like(truth)) for one in found]
    grid = np.linspace(0.02, 0.98, 193)
    dice = np.array([[sk.f1_score(truth.ravel(), one.ravel() >= t) for t in grid] for one in found])
    best = int(dice.mean(axis=0).argmax())
    least = dice[:, best].mean() - dice[:, best].std(ddof=1) / np.sqrt(10)
    expected = grid[np.flatnonzero(dice.mean(axis=0) >= least)[-1]]
    assert grid[best] + 0.05 < expected < 0.85, "neither the best nor the ceiling"
    assert one_se_threshold(rocs) == pytest.approx(expected, abs=0.006)


def test_where_only_a_threshold_above_the_ceiling_is_as_good_the_lowest_is_taken() -> None:
    truth = np.zeros((1, 40, 40), dtype=bool)
    truth[0, :10, :10] = True
    probability = np.where(truth, 0.97, 0.95).astype(np.float32)
    assert 0.95 < one_se_threshold([roc(probability, truth, np.ones_like(truth))]) < 0.952


def test_of_thresholds_that_are_as_good_the_highest_is_taken() -> None:
    """A faint border of 8 voxels costs Dice less than it can tell; a false object of 4 goes with it."""
    truth = np.zeros((1, 80, 80), dtype=bool)
    truth[0, :25, :40] = True
    probability = np.where(truth, 0.95, 0.01).astype(np.float32)
    probability[0, 0, :8] = 0.6
    probability[0, 60:62, 60:62] = 0.8
    rocs = {"one": [roc(probability, truth, np.ones_like(truth))]}
    assert dice_threshold(rocs["one"]) <= 0.6
    assert pooled_thresholds(rocs)["one"] == pytest.approx(0.9, abs=1e-3), "no higher: outlines shrink on other planes"
