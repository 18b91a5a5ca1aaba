"""The demo does not wait for a node that has ended: it says with which words."""

import time
from pathlib import Path

import pytest

from dicom_node.demo import node as demo_node
from dicom_node.demo.node import DemoError, DemoNode


def test_a_node_that_ended_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = demo_node._CONFIG.replace("settle_s = 5.0", "setle_s = 5.0")
    monkeypatch.setattr(demo_node, "_CONFIG", broken)
    with DemoNode(tmp_path, 104, tmp_path / "node.log") as node:
        deadline = time.monotonic() + 100
        with pytest.raises(DemoError, match="did you mean settle_s") as said:  # noqa: PT012
            while time.monotonic() < deadline:
                node.check()
                time.sleep(0.1)
    assert "ended with code 2" in str(said.value)
