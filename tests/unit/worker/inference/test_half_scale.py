"""The second look: where things lie in it, what counts, and what it mends."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from support.patients import write_patient
from support.weights import random_card, random_weights
from torch import Tensor, nn
from torch.nn import functional

from model.checkpoint import load, save
from worker.inference.half_scale import LARGE_VOXELS, completed, halved
from worker.inference.predict import Predictor
from worker.inference.windows import window
from worker.volume.head import block_mean

PRESENT = (True, False, False, False)


class SeesEdges(nn.Module):
    """Takes for lesion what is bright, but for what is bright as far as it sees: 5 pixels each way."""

    def forward(self, stack: Tensor) -> Tensor:
        bright = (stack[:, 2:3] > 17).float()
        return 20 * (bright - functional.avg_pool2d(bright, 11, stride=1, padding=5).ge(0.99).float()) - 10


def ball(radius: float, centre: tuple[float, float, float], shape: tuple[int, int, int]) -> np.ndarray:
    offsets = np.meshgrid(*(np.arange(n) - c for n, c in zip(shape, centre, strict=True)), indexing="ij")
    return sum(offset**2 for offset in offsets) <= radius**2


def test_halves_are_means_of_eight_voxels_and_an_odd_last_slice_counts_twice():
    stack = np.arange(2 * 3 * 4 * 4, dtype=np.float32).reshape(2, 3, 4, 4)
    half = halved(stack)
    assert half.shape == (2, 2, 2, 2)
    assert half[1, 0, 1, 0] == stack[1, 0:2, 2:4, 0:2].mean()
    assert half[0, 1, 0, 1] == stack[0, 2, 0:2, 2:4].mean()
    uneven = np.random.default_rng(1).random((2, 5, 16, 24), dtype=np.float32)
    assert np.array_equal(halved(uneven), np.stack([block_mean(volume, (2, 2, 2)) for volume in uneven]))


@pytest.mark.parametrize("slices", [39, 40])
def test_an_object_lies_where_it_lay(slices):
    """Half a voxel at the whole resolution is .5 mm."""
    truth = ball(11, (18.3, 31.6, 40.2), (slices, 64, 80))
    shell = truth & ~ball(8, (18.3, 31.6, 40.2), truth.shape)
    whole = completed(shell.astype(np.float32), halved(truth[None].astype(np.float32))[0], shell.astype(np.float32))
    assert whole.shape == truth.shape
    found = whole >= 0.5
    assert np.abs(np.argwhere(found).mean(0) - np.argwhere(truth).mean(0)).max() < 0.1
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.95


@pytest.mark.parametrize("centre", [(9.3, 20.6, 30.2), (19, 1, 39)])
def test_only_about_the_objects_it_is_doubled_and_the_numbers_are_those_of_doubling_all(centre):
    rng = np.random.default_rng(3)
    second = np.where(ball(9, centre, (20, 40, 40)), rng.uniform(0.5, 1, (20, 40, 40)), 0.1).astype(np.float32)
    first, answer = np.full((39, 80, 80), 0.6, dtype=np.float32), np.zeros((39, 80, 80), dtype=np.float32)
    large = np.where(second >= 0.5, second, np.float32(0))
    doubled = ndimage.zoom(large, 2, order=1, mode="nearest", grid_mode=True)[:39]
    assert (doubled > first).any()
    assert np.abs(completed(first, second, first) - np.maximum(first, doubled)).max() < 1e-6
    assert np.abs(completed(answer, second, first) - doubled).max() < 1e-6, "its dim rim too"


def test_small_objects_weak_ones_and_those_that_the_first_look_saw_little_of_do_not_count():
    second = np.zeros((20, 40, 40), dtype=np.float32)
    places = {
        "large": np.s_[2:7, 20:25, 2:10],  # 200 voxels
        "small": np.s_[12:17, 20:25, 2:9],  # 175
        "weak": np.s_[10:18, 2:16, 30:38],
        "unseen": np.s_[2:8, 2:8, 2:8],  # 216, less than half of them seen
    }
    first = np.zeros((40, 80, 80), dtype=np.float32)
    for name, place in places.items():
        second[place] = 0.49 if name == "weak" else 0.9
        first[tuple(slice(2 * one.start, 2 * one.stop) for one in place)] = 0.6
    first[10:16, 4:16, 4:16] = 0  # of the unseen a half
    first[4:10, 4:6, 4:6] = 0  # and a bit
    assert LARGE_VOXELS == 200
    whole = completed(first, second, first)
    changed = whole != first
    assert changed.any()
    assert (whole[6:12, 42:48, 6:18] == np.float32(0.9)).all()
    changed[3:15, 39:51, 3:21] = False
    assert not changed.any()


def test_what_the_first_look_saw_counts_though_a_mean_gives_it_less():
    """The mean with the mirror image halves what one side sees: a large lesion is completed as it was without."""
    truth = ball(14, (20, 32, 32), (40, 64, 64))
    first = np.where(truth, np.float32(0.9), np.float32(0))
    second = halved(truth[None].astype(np.float32))[0]
    whole = completed(first / 2, second, first)
    assert (whole >= 0.5)[truth].mean() > 0.9
    assert not (completed(first / 2, second, first / 2) >= 0.5).any()


def test_a_large_lesion_is_filled_and_all_else_stays():
    shape = (40, 256, 256)
    head = np.where(ball(90, (20, 128, 128), shape), np.float32(100), np.float32(0))
    large, small = ball(14, (20, 110, 120), shape), ball(3, (20, 160, 150), shape)
    stack = np.zeros((4, *shape), dtype=np.float32)
    stack[0] = np.where(large | small, 4 * head, head)
    answers = [
        Predictor.of(SeesEdges(), random_card(half_scale=half), device="cpu").predict(stack, PRESENT)
        for half in (False, True)
    ]
    hollow, filled = (answer >= 0.5 for answer in answers)
    assert not hollow[20, 110, 120]
    assert (hollow & large).sum() < 0.85 * large.sum()
    assert (filled & large).sum() > 0.97 * large.sum()
    assert (filled & ~large & ~small).sum() < 0.05 * large.sum()
    away = ~ball(20, (20, 110, 120), shape)
    assert np.array_equal(answers[0][away], answers[1][away]), "the small lesion, and what is none"
    assert (answers[1] >= answers[0]).all()


def test_a_slice_in_which_nothing_was_measured_stays_zero():
    """Half the resolution mixes it with its neighbour."""
    shape = (24, 256, 256)
    lesion = ball(14, (12, 128, 128), shape)
    stack = np.zeros((4, *shape), dtype=np.float32)
    stack[0] = np.where(lesion, np.float32(400), np.float32(100)) * ball(90, (12, 128, 128), shape)
    stack[0, 13:] = 0
    answer = Predictor.of(SeesEdges(), random_card(half_scale=True), device="cpu").predict(stack, PRESENT)
    assert answer[12, 128, 128] > 0.5
    assert not answer[13:].any()


def test_weights_that_ask_for_it_are_served_so(tmp_path):
    """From the card in the folder: what OpenVINO answers at both sizes is what torch answers."""
    card = random_weights(tmp_path / "weights", half_scale=True)
    stack = np.load(write_patient(tmp_path, 1, slices=7) / "stack.npy").astype(np.float32)
    network = load(tmp_path / "weights").network
    with torch.no_grad():
        list(network.parameters())[-1] += 4  # of the last layer: else nothing is a lesion
        save(tmp_path / "weights", network, card)
        encoded = np.stack([card.normalisation.apply(volume) for volume in stack])
        whole, half = (
            network(torch.from_numpy(np.stack([window(look, z, card.edge_rule) for z in range(look.shape[1])])))
            .sigmoid()[:, 0]
            .numpy()
            for look in (encoded, halved(encoded))
        )
    assert np.ptp(half) > 1e-3
    expected = completed(whole, half, whole)
    served = Predictor(tmp_path / "weights", device="cpu", threads=1).predict(stack, (True, True, True, True))
    assert np.abs(served - expected).max() < 1e-5
    assert (expected > whole).any(), "else this would show nothing"
