"""Weights are loaded only when they are whole, unaltered and of this form; else the error says what to do."""

import hashlib
import json
import os
import resource
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from support.weights import random_card, random_weights

from model.card import CardError, from_json, to_json
from model.checkpoint import CARD_FILE, DEFAULT_FOLDER, WEIGHTS_FILE, CheckpointError, load, save, verify

STUDY = DEFAULT_FOLDER.parents[1] / "training" / "study" / "weights"


def test_what_was_saved_comes_back(tmp_path):
    card = random_weights(tmp_path)
    first, second = load(tmp_path), load(tmp_path)
    assert first.card == card
    assert first.digest == second.digest
    assert not first.network.training
    inputs = torch.randn(1, 20, 32, 32)
    with torch.inference_mode():
        assert torch.equal(first.network(inputs), second.network(inputs))


@pytest.mark.parametrize("place", [0, 100, -1])
def test_weights_altered_by_one_byte_are_refused(tmp_path, place):
    random_weights(tmp_path)
    content = bytearray((tmp_path / WEIGHTS_FILE).read_bytes())
    content[place] ^= 1
    (tmp_path / WEIGHTS_FILE).write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="was altered"):
        load(tmp_path)


def test_another_threshold_is_another_digest(tmp_path):
    random_weights(tmp_path / "a")
    card = random_card()
    random_weights(tmp_path / "b", thresholds={**card.thresholds, "FLAIR": 0.3})
    assert load(tmp_path / "a").digest != load(tmp_path / "b").digest


@pytest.mark.parametrize("name", [WEIGHTS_FILE, CARD_FILE])
def test_a_missing_file_is_named(tmp_path, name):
    random_weights(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} cannot be read"):
        load(tmp_path)


def test_a_run_given_for_its_weights_is_told_where_they_are(tmp_path):
    random_weights(tmp_path / "weights")
    with pytest.raises(CheckpointError, match=f"; {tmp_path / 'weights'} is one$"):
        load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"form": 2},
        {"unknown": 1},
        {"subset_law": "sometimes"},
        {"thresholds": {"BRAVO": 0.5}},
        {"thresholds": None},
        {"sequences": ["T2"]},
        {"normalisation": {"kind": "z-score"}},
        {"normalisation": {"gain": "3"}},
        {"weights_sha256": None},
        {"weights_sha256": 3},
        {"name": None},
        {"version": 5},
        {"architecture": None},
        {"threshold_rule": ["none"]},
        {"mirror": "false"},
        {"mirror": 1},
        {"half_scale": "true"},
        {"mirror_objects": 1},
        {"crop_to_head": "yes"},
        {"thresholds": dict.fromkeys(random_card().thresholds, "0.5")},
        {"thresholds": dict.fromkeys(random_card().thresholds, float("nan"))},
        {"thresholds": list(random_card().thresholds)},
        {"expected": None},
        {"expected": ["BRAVO"]},
        {"expected": {"BRAVO": "good"}},
        {"expected": {"BRAVO": {"dice": "good"}}},
        {"expected": {"BRAVO": {"dice": True}}},
        {"expected": {"BRAVO": {"dice": float("nan")}}},
        {"expected": {"T2": {"dice": 0.5}}},
        {"sequences": ["BRAVO"] * 4},
        {"sequences": []},
        {"sequences": [["BRAVO"]]},
        {"data": "a sentence"},
        {"configuration": ["seed"]},
        {"statement": "Cleared for diagnosis."},
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_foreign_card_is_refused(tmp_path, change):
    random_weights(tmp_path)
    raw = json.loads((tmp_path / CARD_FILE).read_text())
    (tmp_path / CARD_FILE).write_text(json.dumps({**raw, **change}))
    for read in (load, verify):
        with pytest.raises(CheckpointError, match=r"card\.json cannot be used"):
            read(tmp_path)


@pytest.mark.parametrize("text", [b"", b"[]", b"\xe4{}", b"[" * 200_000], ids=["empty", "list", "latin", "deep"])
def test_what_is_no_card_at_all_is_refused(tmp_path, text):
    random_weights(tmp_path)
    (tmp_path / CARD_FILE).write_bytes(text)
    with pytest.raises(CheckpointError, match=r"card\.json cannot be used"):
        verify(tmp_path)


@pytest.mark.parametrize("read", [load, verify])
@pytest.mark.parametrize(
    "change", [{"sequences": ["BRAVO"]}, {"architecture": "quartet_wide"}, {"architecture": "unet"}], ids=str
)
def test_weights_of_another_network_are_refused(tmp_path, change, read):
    random_weights(tmp_path)
    raw = json.loads((tmp_path / CARD_FILE).read_text())
    (tmp_path / CARD_FILE).write_text(json.dumps({**raw, **change}))
    with pytest.raises(CheckpointError, match="does not hold a network"):
        read(tmp_path)


def altered(folder, change):
    """Random weights with other tensors, whose card says so."""
    random_weights(folder)
    tensors = load_tensors((folder / WEIGHTS_FILE).read_bytes())
    content = save_tensors({**tensors, **change(tensors)})
    (folder / WEIGHTS_FILE).write_bytes(content)
    raw = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps({**raw, "weights_sha256": hashlib.sha256(content).hexdigest()}))


@pytest.mark.parametrize("read", [load, verify])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path, value, read):
    names = ("head.bias", "stem.weight")  # the later one of the network first in the file
    altered(tmp_path, lambda tensors: {name: torch.full_like(tensors[name], value) for name in names})
    with pytest.raises(CheckpointError, match=r"safetensors: stem\.weight holds values that are not finite"):
        read(tmp_path)


@pytest.mark.parametrize("read", [load, verify])
@pytest.mark.parametrize("kind", [torch.int8, torch.float16, torch.float64], ids=str)
def test_another_type_of_numbers_is_refused(tmp_path, kind, read):
    altered(tmp_path, lambda tensors: {"stem.weight": tensors["stem.weight"].to(kind)})
    words = f"stem.weight is {str(kind).removeprefix('torch.')} and the network computes in float32"
    with pytest.raises(CheckpointError, match=words):
        read(tmp_path)


@pytest.mark.parametrize("folder", [DEFAULT_FOLDER, *sorted(STUDY.iterdir())], ids=lambda folder: folder.name)
def test_every_set_of_weights_in_the_repository_is_taken(folder):
    verify(folder)
    assert load(folder).card.weights_sha256


def test_the_check_of_the_papers_network_leaves_what_is_loaded_after_it_whole(tmp_path):
    """The import of torchvision falls into the check."""
    random_weights(tmp_path, architecture="deeplabv3_mobilenet_v3_large")
    program = (
        "import sys, torch; from pathlib import Path; from model.checkpoint import load, verify\n"
        "folder = Path(sys.argv[1]); verify(folder); network = load(folder).network\n"
        "with torch.inference_mode(): assert network(torch.ones(1, 20, 32, 32)).isfinite().all()"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_check_leaves_a_process_that_may_fork(tmp_path):
    """No thread begun, no CUDA, no OpenVINO: the worker's parent checks, and its child computes."""
    random_weights(tmp_path)
    program = (
        "import os, sys, torch; from pathlib import Path; from model.checkpoint import verify\n"
        "count = lambda: len(os.listdir('/proc/self/task'))\n"
        "before = count(); verify(Path(sys.argv[1]))\n"
        "assert count() == before and not torch.cuda.is_initialized() and 'openvino' not in sys.modules\n"
        "torch.ones(1_000_000).isfinite(); assert count() > before, 'this test would see no thread'"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "4"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_a_disk_that_fills_up_leaves_the_weights_that_lay_there(tmp_path):
    card = random_weights(tmp_path)
    checkpoint = load(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(CheckpointError, match=r"cannot be written \(File too large\): make room"):
            save(tmp_path, checkpoint.network, card)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load(tmp_path).digest == checkpoint.digest
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS_FILE, CARD_FILE}


@pytest.mark.parametrize("place", ["/proc/self", "file/weights"])
def test_a_folder_that_cannot_be_written_is_told(tmp_path, place):
    card = random_weights(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        save(tmp_path / place, load(tmp_path).network, card)


def test_a_threshold_outside_of_probability_is_refused():
    thresholds = {**random_card().thresholds, "FLAIR": 1.0}
    with pytest.raises(CardError, match="between 0 and 1"):
        random_card(thresholds=thresholds)


def test_a_card_survives_its_text():
    card = random_card(expected={"FLAIR": {"dice": 0.5}}, data=("made up",), configuration={"seed": 1})
    assert from_json(to_json(card)) == card
