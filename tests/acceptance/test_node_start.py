"""A node that cannot be used as configured says why in one plain text and ends; it does not restart in circles."""

import json
import socket
from pathlib import Path

import pytest
from support.node import Node, make_node, write_config

from dicom_node.supervise import UNUSABLE

END_S = 110.0
"""On a busy machine."""


def ended(node: Node, command: str = "serve") -> str:
    """Start a node that cannot run; its exit code is UNUSABLE, and this is what a person sees."""
    node.start(command, wait=False)
    assert node.process is not None
    try:
        code = node.process.wait(END_S)
    finally:
        node.kill()
    assert code == UNUSABLE, node.log
    assert "Traceback" not in node.log
    return node.log


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """One that never started. Weights are looked for in vain, which only the worker minds."""
    return make_node(tmp_path, weights=tmp_path / "weights")


def test_an_unknown_setting_is_refused_with_the_nearest_known_one(node: Node) -> None:
    node.config.write_text(node.config.read_text().replace("settle_s =", "setle_s =", 1))
    assert "study.setle_s: unknown setting; did you mean settle_s?" in ended(node)


def test_a_configuration_that_is_not_there_is_named(node: Node) -> None:
    node.config.unlink()
    assert "does not exist; copy deploy/quartet.example.toml there and edit it" in ended(node)


def test_a_taken_port_ends_the_node_and_is_named(node: Node) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", node.port))
        taken.listen()
        text = ended(node, "receive")
    assert f"port {node.port} is taken by another program: stop it, or set association.port to a free one" in text


def test_a_storage_root_that_cannot_be_written_is_named(node: Node, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    root = tmp_path / "file" / "storage"
    write_config(node, storage=root, weights=tmp_path / "weights")
    assert str(root) in ended(node, "receive")


def test_missing_weights_keep_the_whole_node_from_starting(node: Node) -> None:
    text = ended(node)
    assert "weights.safetensors" in text or "card.json" in text
    assert "cannot be read (No such file or directory)" in text


def test_weights_with_one_byte_altered_keep_the_whole_node_from_starting(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    file = tmp_path / "weights" / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    assert "weights.safetensors was altered: its SHA-256 is" in ended(node)


def test_weights_of_another_network_keep_the_whole_node_from_starting(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    card = tmp_path / "weights" / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "architecture": "quartet_wide"}))
    assert "does not hold a network of this release (quartet_wide)" in ended(node)


def test_a_gpu_that_is_asked_for_and_not_there_keeps_the_whole_node_from_starting(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    node.environment = {"CUDA_VISIBLE_DEVICES": ""}
    node.config.write_text(node.config.read_text().replace('device = "cpu"', 'device = "cuda"'))
    assert "worker.device is cuda, but no GPU answers: check nvidia-smi" in ended(node)
