"""`quartet config check` names what will be served, and says where it cannot be used."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.weights import random_weights

from model.card import Card
from training.configuration import Configuration
from training.validate import card_of

pytestmark = pytest.mark.slow


def config_check(folder: Path, worker: str) -> "subprocess.CompletedProcess[str]":
    """Of a configuration in `folder`, from there."""
    (folder / "storage").mkdir()
    (folder / "quartet.toml").write_text(
        f'[storage]\nroot = "{folder / "storage"}"\nreserve_bytes = 0\n'
        f"[association]\nany_peer = true\n[worker]\n{worker}"
    )
    command = [sys.executable, "-m", "dicom_node.cli", "config", "check", "--config", "quartet.toml"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def card(folder: Path, **changes: object) -> Card:
    return random_weights(folder / "weights" / "mine", **changes)


def test_the_weights_that_will_be_served_are_named(tmp_path: Path) -> None:
    served = card(tmp_path, name="mine", version="2", threshold_rule="pooled on 3 validation patients")
    said = config_check(tmp_path, 'weights = "weights/mine"\n')
    assert said.returncode == 0, said.stderr
    folder = tmp_path / "weights" / "mine"
    assert f"weights      {folder}: mine 2, SHA-256 {served.weights_sha256[:12]}\n" in said.stdout
    assert "thresholds   pooled on 3 validation patients\n" in said.stdout
    assert "warning" not in said.stdout


def test_weights_straight_from_training_are_warned_of(tmp_path: Path) -> None:
    trained = card_of(Configuration(), 1, {})
    assert not trained.calibrated
    card(tmp_path, name=trained.name, version=trained.version, threshold_rule=trained.threshold_rule)
    said = config_check(tmp_path, 'weights = "weights/mine"\n')
    assert said.returncode == 0, said.stderr
    assert "quartet-ild 0.0.0-training, SHA-256" in said.stdout
    assert "thresholds   not calibrated" in said.stdout
    assert "export them first with `python -m training.export`" in said.stdout


def test_the_weights_of_this_release_are_named_too(tmp_path: Path) -> None:
    said = config_check(tmp_path, "")
    assert said.returncode == 0, said.stderr
    assert "weights      those of this release (" in said.stdout


def test_a_relative_folder_of_weights_is_told_with_what_it_was_taken_from(tmp_path: Path) -> None:
    said = config_check(tmp_path, 'weights = "weights/typo"\n')
    assert said.returncode == 2
    told = " ".join(said.stderr.split())
    assert f'worker.weights = "weights/typo", taken from {tmp_path} where this was started: ' in told
    assert f"{tmp_path / 'weights' / 'typo'}/card.json cannot be read" in told
    assert "left out, the weights of this release serve" in told
