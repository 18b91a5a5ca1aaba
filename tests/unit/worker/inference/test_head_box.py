"""Only the box about the head is looked at: nothing of the head is left out, and what is called in it stays."""

from argparse import Namespace

import numpy as np
import pytest
import torch
from support.patients import write_patient
from support.weights import random_card, random_weights
from torch import nn

from model.checkpoint import load
from model.network import build
from worker.inference import predict
from worker.inference.engine import CPU_BATCH, CUDA_BATCH, openvino_engine
from worker.inference.head_box import BLOCK_PX, box, halved_blocks, occupied
from worker.inference.predict import Predictor
from worker.inference.windows import window

FIRST = (True, False, False, False)
ALL = (True, True, True, True)


def head(rows: slice, columns: slice, slices: slice = slice(5, 15), *, count: int = 20) -> np.ndarray:
    """(4, count, 256, 256): tissue of 80 to 120 in the first sequence, and noise of the air, of up to 8."""
    rng = np.random.default_rng(7)
    stack = np.zeros((4, count, 256, 256), dtype=np.float32)
    stack[0] = rng.uniform(0, 8, stack.shape[1:])
    stack[0, slices, rows, columns] = rng.uniform(80, 120, stack[0, slices, rows, columns].shape)
    return stack


def answer(network: nn.Module, stack: np.ndarray, **looks: bool) -> np.ndarray:
    return Predictor.of(network, random_card(**looks), device="cpu", threads=1).predict(stack, FIRST)


def near_sighted() -> nn.Module:
    """Sees three pixels each way; its answers are from .1 to .7 or so."""
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(20, 8, 7, padding=3), nn.ReLU(), nn.Conv2d(8, 1, 1)).eval()


def test_tissue_counts_air_does_not_and_a_slice_counts_what_its_neighbours_hold():
    found = occupied(list(head(slice(40, 200), slice(64, 192))[:1]))
    assert found.shape == (20, 32, 32)
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == [*range(3, 17)], "two slices are read on either side"
    assert np.flatnonzero(found[3].any(axis=1)).tolist() == [*range(5, 25)]
    assert np.flatnonzero(found[16].any(axis=0)).tolist() == [*range(8, 24)]


def test_what_is_dim_in_one_sequence_counts_for_another():
    one, two = head(slice(40, 200), slice(64, 192)), head(slice(16, 120), slice(96, 240))
    found = occupied([one[0], two[0]])[10]
    assert np.flatnonzero(found.any(axis=1)).tolist() == [*range(2, 25)]
    assert np.flatnonzero(found.any(axis=0)).tolist() == [*range(8, 30)]


def test_a_dim_half_of_the_head_counts():
    """A surface coil: a third of the brightness, where the head is far from it."""
    stack = head(slice(40, 200), slice(64, 192))
    stack[0, :, 120:200] /= 3
    assert np.flatnonzero(occupied([stack[0]])[10].any(axis=1)).tolist() == [*range(5, 25)]


def test_a_hot_spot_in_some_slices_leaves_the_others() -> None:
    """Blood that flows in, in an eighth of the slices: twenty times as bright as tissue, and more than a hundredth."""
    stack = head(slice(40, 200), slice(64, 192), slice(0, 80), count=80)
    stack[0, :10, 100:140, 100:140] = 2000
    assert np.flatnonzero(occupied([stack[0]])[60].any(axis=1)).tolist() == [*range(5, 25)]


def test_what_cannot_be_compared_counts() -> None:
    """Numbers so large that a sum of them is none."""
    assert occupied([np.full((3, 256, 256), 3e38, dtype=np.float32)]).all()


@pytest.mark.parametrize("value", [0, 50])
def test_where_nothing_stands_out_all_counts(value):
    assert occupied([np.full((3, 256, 256), value, dtype=np.float32)]).all()


@pytest.mark.parametrize(("first", "last"), [(a, b) for a in (0, 1, 6, 7, 30) for b in (31, 8, 13, 14) if a <= b])
def test_a_box_holds_a_block_more_and_its_size_is_one_of_few(first, last):
    held = np.zeros((2, 32, 32), dtype=bool)
    held[0, first, 3] = held[1, last, 3] = True
    rows, columns = box(held, BLOCK_PX)
    assert (columns.start, columns.stop) == (16, 48)
    assert 0 <= rows.start <= max(0, (first - 1) * 8)
    assert 256 >= rows.stop >= min(256, (last + 2) * 8)
    assert rows.start % 16 == (rows.stop - rows.start) % 16 == 0, "half of it is a multiple of 8, as the network needs"
    assert rows.stop - rows.start <= (last - first + 1) * 8 + 4 * 8
    half = box(held, BLOCK_PX // 2)
    assert [(2 * side.start, 2 * side.stop) for side in half] == [(side.start, side.stop) for side in (rows, columns)]


@pytest.mark.parametrize("slices", [7, 8])
def test_half_the_resolution_looks_where_either_slice_would(slices):
    held = np.zeros((slices, 32, 32), dtype=bool)
    held[0, 1, 1] = held[-1, 9, 9] = True
    half = halved_blocks(held)
    assert half.shape == (4, 32, 32)
    assert half[:, 1, 1].tolist() == [True, True, True, False], "its own neighbours on either side are read too"
    assert half[:, 9, 9].tolist() == [False, True, True, True]


@pytest.mark.parametrize("looks", [{}, {"mirror": True}, {"mirror_objects": True}], ids=str)
def test_the_head_is_answered_as_it_is_in_the_whole_slice_and_air_is_not_asked_about(looks):
    stack = head(slice(40, 200), slice(64, 192))
    whole, boxes = (answer(near_sighted(), stack, crop_to_head=crop, **looks) for crop in (False, True))
    inside = np.s_[3:17, 40:200, 64:192]
    assert np.ptp(whole[inside]) > 0.1
    assert np.abs(whole - boxes)[inside].max() < 1e-6
    assert whole.all(), "air is answered there"
    assert not boxes[:3].any()
    assert not boxes[17:].any()
    beside = np.ones(boxes.shape, dtype=bool)
    beside[:, 32:208, 48:208] = False
    assert boxes[beside].max() <= (0.5 if "mirror_objects" in looks else 0), (
        "its windows see beyond a box: half at most"
    )
    assert (boxes[3:17, 32:208, 48:208] > 0).all()


def test_each_batch_has_its_own_box():
    """Of a head that tapers: a slice is not asked about where only far ones hold tissue."""
    stack = head(slice(96, 160), slice(96, 160), slice(0, 20))
    stack[0, 12:, 32:224, 32:224] = 100
    boxes = answer(near_sighted(), stack, crop_to_head=True)
    assert np.flatnonzero(boxes[0].any(axis=1)).tolist() == [*range(80, 176)]
    assert np.flatnonzero(boxes[19].any(axis=1)).tolist() == [*range(16, 240)]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_slab_of_a_few_slices_is_answered_at_both_sizes(count):
    stack = head(slice(40, 200), slice(64, 192), slice(0, count), count=count)
    boxes = answer(near_sighted(), stack, crop_to_head=True, half_scale=True)
    assert (boxes[:, 40:200, 64:192] > 0).all()


@pytest.mark.parametrize("architecture", ["quartet_light", "deeplabv3_mobilenet_v3_large"])
def test_one_engine_reads_any_size(architecture):
    torch.manual_seed(1)
    served = nn.Sequential(build(architecture, 20), nn.Sigmoid()).eval()
    engine = openvino_engine(served, (2, 20, None, None), 1)
    for size in ((64, 96), (112, 48), (128, 128)):
        inputs = torch.rand(2, 20, *size)
        with torch.no_grad():
            expected = served(inputs).numpy()
        assert engine(inputs.numpy()).shape == expected.shape == (2, 1, *size)
        assert np.abs(engine(inputs.numpy()) - expected).max() < 1e-5


def test_boxes_do_not_depend_on_the_device(monkeypatch):
    """A batch shares a box: a GPU's, four times as large, would give another answer."""
    monkeypatch.setattr(predict, "choose_device", lambda _: Namespace(type="cuda"))
    monkeypatch.setattr(predict, "make_engine", lambda *_, shape, **__: shape)
    batches = {
        crop: {shape[0] for shape in Predictor.of(near_sighted(), random_card(crop_to_head=crop))._engines.values()}
        for crop in (False, True)
    }
    assert batches == {False: {CUDA_BATCH}, True: {CPU_BATCH}}


def test_weights_that_ask_for_it_are_served_so_by_the_engine(tmp_path, caplog):
    """From the card in the folder: what OpenVINO answers to a box is what torch answers to it."""
    card = random_weights(tmp_path / "weights", crop_to_head=True)
    stack = np.load(write_patient(tmp_path, 1, slices=6) / "stack.npy").astype(np.float32)
    stack[:, :, :100] = stack[:, :, 180:] = stack[..., :110] = stack[..., 200:] = 0
    network = load(tmp_path / "weights").network
    encoded = np.stack([card.normalisation.apply(volume) for volume in stack])
    part = box(occupied(list(stack)), BLOCK_PX)
    assert (part[0].stop - part[0].start, part[1].stop - part[1].start) == (112, 112)
    inputs = np.stack([window(encoded[:, :, *part], z, card.edge_rule) for z in range(6)])
    with torch.no_grad():
        expected = np.zeros((6, 256, 256), dtype=np.float32)
        expected[:, *part] = network(torch.from_numpy(inputs)).sigmoid()[:, 0].numpy()
    served = Predictor(tmp_path / "weights", device="cpu", threads=1).predict(stack, ALL)
    assert not caplog.records, "OpenVINO runs it"
    assert np.ptp(expected[:, *part]) > 1e-3
    assert np.abs(served - expected).max() < 1e-5
