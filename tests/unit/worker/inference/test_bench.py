"""`make bench-inference` holds the engine to eager torch, whatever the weights read, and says so by its exit code."""

from argparse import Namespace

import numpy as np
import pytest
import torch
from bench.inference import LARGEST, batches, compare, eager, full_float32, main, study, verdict, whole
from support.patients import write_patient
from support.weights import random_weights

from model.channels import SEQUENCES
from model.checkpoint import load, save
from model.input_dropout import SubsetLaw
from worker.inference.predict import Predictor

COMPARATOR = {"sequences": SEQUENCES[1:], "subset_law": SubsetLaw.NONE}


@pytest.mark.parametrize("fields", [{}, COMPARATOR], ids=["four sequences", "comparator"])
def test_inputs_are_the_served_ones_of_all_sequences_and_of_one(tmp_path, fields):
    random_weights(tmp_path / "weights", **fields)
    predictor = Predictor(tmp_path / "weights", device="cpu", threads=1)
    stack = np.load(write_patient(tmp_path, 1, slices=6) / "stack.npy").astype(np.float32)
    inputs = batches(stack, predictor, 2)
    rows = len(predictor.sequences)
    middle = [one.reshape(2, rows, 5, 256, 256).any(axis=(0, 2, 3, 4)) for one in (inputs[1], inputs[-2])]
    assert [filled.tolist() for filled in middle] == [[True] * rows, [True] + [False] * (rows - 1)]
    network = load(tmp_path / "weights").network
    given = Namespace(threads=1, rounds=1)
    assert compare("random", network, torch.device("cpu"), inputs[:1], given, 1.0) < LARGEST


BOTH = {"half_scale": True, "mirror_objects": True}


@pytest.mark.parametrize("looks", [{}, {"half_scale": True}, {"mirror_objects": True}, BOTH], ids=str)
def test_the_whole_served_answer_is_held_to_eager_torch_at_all_its_looks(tmp_path, looks):
    card = random_weights(tmp_path / "weights", **looks)
    network = load(tmp_path / "weights").network
    with torch.no_grad():
        if "mirror_objects" in looks:
            list(network.parameters())[-1] += 4  # of the last layer: else nothing is called
        save(tmp_path / "weights", network, card)
    predictor = Predictor(tmp_path / "weights", device="cpu", threads=1)
    stack = np.load(write_patient(tmp_path, 1, slices=6) / "stack.npy").astype(np.float32)
    answer = study(stack, predictor, 1.0)
    calls = []

    def plain(batch: np.ndarray) -> np.ndarray:
        calls.append(batch.shape[-1])
        return eager(network, torch.device("cpu"))(batch)

    assert whole(answer, stack, predictor, plain) < LARGEST
    assert set(calls) == ({256, 128} if looks else {256})
    found = whole(answer, stack, predictor, lambda batch: plain(batch) + np.float32(0.01))
    assert found > 0.005
    assert found == pytest.approx(0.01, abs=1e-3) or len(looks) == 2, "other objects are completed where all is called"


def test_boxes_about_the_head_are_held_to_eager_torch_too(tmp_path):
    random_weights(tmp_path / "weights", crop_to_head=True, **BOTH)
    predictor = Predictor(tmp_path / "weights", device="cpu", threads=1)
    stack = np.load(write_patient(tmp_path, 1, slices=6) / "stack.npy").astype(np.float32)
    stack[:, :, :100] = stack[..., :110] = 0
    answer = study(stack, predictor, 1.0)
    calls = []

    def plain(batch: np.ndarray) -> np.ndarray:
        calls.append(batch.shape[-2:])
        return eager(load(tmp_path / "weights").network, torch.device("cpu"))(batch)

    assert whole(answer, stack, predictor, plain) < LARGEST
    assert all(rows < 256 and columns < 256 for rows, columns in calls)
    assert {(rows // 2, columns // 2) for rows, columns in calls if rows > 128} <= set(calls)


def test_a_difference_fails_and_is_named(capsys):
    assert verdict({"one": 1e-6}) == 0
    assert verdict({"one": 1e-6, "two": 2e-4, "three": float("nan")}) == 1
    told = capsys.readouterr().out
    assert "two: the engine differs from eager float32 by 2.0e-04, more than 1e-04" in told
    assert "three: the engine" in told
    assert "one:" not in told


def test_weights_that_are_not_there_are_one_line(tmp_path, capsys):
    assert main(["--weights", str(tmp_path / "nope")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "card.json cannot be read" in told.err
    assert told.err.count("\n") == 1


def test_the_reference_is_without_tf32_and_the_engine_as_it_was():
    before = torch.backends.cudnn.allow_tf32
    with full_float32():
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
