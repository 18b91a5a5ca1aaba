"""The mirror image is asked about what was called, there only, and the mean counts."""

import numpy as np
import pytest
import torch
from support.patients import write_patient
from support.weights import random_card, random_weights
from torch import Tensor, nn

from model.checkpoint import load, save
from worker.errors import WorkerError
from worker.inference.mirrored_objects import CALLED, TILES, WINDOW_PX, asked_again
from worker.inference.predict import Predictor
from worker.inference.windows import window

ALL = (True, True, True, True)


class SidedNetwork(nn.Module):
    """Calls what is bright in the middle slice of the first sequence and brighter than its left neighbour."""

    def forward(self, inputs: Tensor) -> Tensor:
        middle = inputs[:, 2:3]
        left = torch.roll(middle, 1, dims=-1)
        left[..., 0] = middle[..., 0]
        return 20 * ((middle > 2) & (middle > left + 0.5)).float() - 10


def bright(*places: tuple[slice, slice, slice]) -> np.ndarray:
    """(4, 9, 256, 256): a head of 100 in the first sequence with brighter places."""
    stack = np.zeros((4, 9, 256, 256), dtype=np.float32)
    stack[0, :, 20:236, 20:236] = 100
    for place in places:
        stack[(0, *place)] = 1000
    return stack


def answer(network: nn.Module, stack: np.ndarray, **looks: bool) -> np.ndarray:
    predictor = Predictor.of(network, random_card(**looks), device="cpu", threads=1)
    return predictor.predict(stack, (True, False, False, False))


def test_the_parts_of_the_windows_cover_each_pixel_once():
    seen = np.zeros((256, 256), dtype=int)
    for tile in TILES:
        seen[tile.part] += 1
        rows, columns = tile.window
        assert rows.stop - rows.start == columns.stop - columns.start == WINDOW_PX
        whole = np.arange(256 * 256).reshape(256, 256)
        assert np.array_equal(whole[tile.window][tile.within], whole[tile.part])
        for inner, outer in zip(tile.part, tile.window, strict=True):
            assert inner.start - outer.start >= 32 or inner.start == 0
            assert outer.stop - inner.stop >= 32 or inner.stop == 256
    assert (seen == 1).all()


def test_only_windows_about_what_was_called_are_asked():
    probability = np.zeros((5, 256, 256), dtype=np.float32)
    probability[1] = 0.49
    probability[2, 100, 100] = CALLED
    probability[3, 95:97, 200] = 0.9
    found = [(z, tile.part) for z, tile in asked_again(probability)]
    middle, end = slice(96, 160), slice(160, 256)
    assert found == [(2, (middle, middle)), (3, (slice(0, 96), end)), (3, (middle, end))]


def test_what_only_one_side_of_the_network_sees_is_halved_and_all_else_stays():
    """A bright bar: the first answer calls its left edge, the answer to the mirror image its right."""
    stack = bright(np.s_[4, 100:110, 100:110], np.s_[4, 40:44, 150:170])
    first, mean = (answer(SidedNetwork(), stack, mirror_objects=asked) for asked in (False, True))
    sure = 1 / (1 + np.exp(-10))
    assert (first[4, 100:110, 100] > 0.99).all()
    assert np.allclose(mean[4, 100:110, [100, 109]], 0.5, atol=1e-3)
    assert np.allclose(mean[4, 40:44, 150], 0.5, atol=1e-3), "near a window's border too"
    changed = np.abs(mean - first) > 1e-3
    assert not changed[[*range(4), *range(5, 9)]].any()
    columns = np.unique(np.argwhere(changed[4])[:, 1])
    assert columns.tolist() == [100, 109, 150], (
        "the bar's right edge, 169, lies in a window in which nothing was called"
    )
    assert mean.max() <= sure


def test_windows_answer_as_the_whole_mirror_image_does():
    """A network that looks 3 pixels far: where something was called, the mean is that of whole mirrored slices."""
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(20, 8, 7, padding=3), nn.ReLU(), nn.Conv2d(8, 1, 1)).eval()
    rng = np.random.default_rng(5)
    stack = (rng.random((4, 6, 256, 256)) * 100).astype(np.float32)
    first, windows, whole = (
        answer(network, stack, **looks) for looks in ({}, {"mirror_objects": True}, {"mirror": True})
    )
    called = first >= CALLED
    assert 0.02 < called.mean() < 0.98
    assert np.abs(windows - whole)[called].max() < 1e-5
    assert np.abs(windows - first)[called].max() > 1e-3


def test_with_the_whole_mirror_image_nothing_is_asked_twice():
    stack = bright(np.s_[4, 100:110, 100:110])
    both, one = (answer(SidedNetwork(), stack, mirror=True, mirror_objects=asked) for asked in (True, False))
    assert np.array_equal(both, one)


def test_a_mirror_image_without_a_probability_is_refused():
    predictor = Predictor.of(SidedNetwork(), random_card(mirror_objects=True), device="cpu", threads=1)
    engine = predictor._engines[WINDOW_PX]
    predictor._engines[WINDOW_PX] = lambda inputs: engine(inputs) * np.float32(np.nan)
    with pytest.raises(WorkerError, match="no probabilities"):
        predictor.predict(bright(np.s_[4, 100:110, 100:110]), (True, False, False, False))


def test_weights_that_ask_for_it_are_served_so(tmp_path):
    """From the card in the folder: what OpenVINO answers is what torch answers."""
    card = random_weights(tmp_path / "weights", mirror_objects=True)
    stack = np.load(write_patient(tmp_path, 1, slices=6) / "stack.npy").astype(np.float32)
    network = load(tmp_path / "weights").network
    encoded = np.stack([card.normalisation.apply(volume) for volume in stack])
    with torch.no_grad():
        last = list(network.parameters())[-1]  # of the last layer: such that a part of the slice is called
        inputs = torch.from_numpy(np.stack([window(encoded, z, card.edge_rule) for z in range(encoded.shape[1])]))
        last -= network(inputs).quantile(0.99999)
        save(tmp_path / "weights", network, card)
        expected = network(inputs).sigmoid()[:, 0].numpy()
        asked = asked_again(expected)
        assert 0 < len(asked) < len(TILES) * len(expected)
        for z, tile in asked:
            seen = window(encoded[:, :, *tile.window], z, card.edge_rule)[None, ..., ::-1].copy()
            mirrored = network(torch.from_numpy(seen)).sigmoid()[0, 0].numpy()[:, ::-1]
            expected[z][tile.part] = (expected[z][tile.part] + mirrored[tile.within]) / 2
    served = Predictor(tmp_path / "weights", device="cpu", threads=1).predict(stack, ALL)
    assert np.abs(served - expected).max() < 1e-5
