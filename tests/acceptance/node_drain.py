"""SIGTERM in the middle of a job and of an association: the node drains, ends within 60 s, and loses nothing.

Run by test_node_drain.py, in a process of its own.
"""

import os
import signal
import threading
from pathlib import Path

import pytest
from support.demo_pacs import running_pacs
from support.node import running_node
from support.studies import write_study

pytestmark = pytest.mark.timeout(400)
STOP_S = 60.0


def test_sigterm_under_load_drains_and_the_next_start_finishes(tmp_path: Path) -> None:
    first = write_study(tmp_path / "first", patient="A", sequences=("BRAVO",))
    second = write_study(tmp_path / "second", patient="B", sequences=("BRAVO",))
    with running_pacs() as pacs, running_node(tmp_path / "node", destinations={"PACS": pacs.port}) as node:
        assert set(node.send(first.files)) == {0}
        node.wait_until(lambda: list(node.storage.glob("jobs/*/attempt-1")))
        statuses: list[int] = []
        sender = threading.Thread(target=lambda: statuses.extend(node.send(second.files)))
        sender.start()
        node.wait_until(lambda: len(list(node.storage.glob("instances/*/*.dcm"))) > len(first.files), every_s=0.01)
        parts = node.parts()
        assert node.stop(STOP_S) == 0
        sender.join()
        assert set(statuses) == {0}, "an open association may finish"
        assert not any(Path(f"/proc/{pid}").exists() for pid in parts.values())
        assert {"receive", "coordinate", "worker", "broker"} <= set(parts)
        node.start()
        node.wait_until(lambda: len(set(pacs.uids)) == 4)
        assert len(pacs.uids) == 4


def test_a_part_that_is_killed_comes_back_and_the_job_is_done(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", patient="A", sequences=("BRAVO",))

    with running_pacs() as pacs, running_node(tmp_path / "node", destinations={"PACS": pacs.port}, lease_s=4.0) as node:
        before = node.parts()
        for part in ("broker", "coordinate", "receive"):
            os.kill(before[part], signal.SIGKILL)
        node.wait_until(node.echoes)
        assert set(node.send(study.files)) == {0}
        node.wait_until(lambda: "worker-child" in node.parts() and list(node.storage.glob("jobs/*/attempt-1")))
        os.kill(node.parts()["worker-child"], signal.SIGKILL)
        node.wait_until(lambda: len(pacs.got) == 2)
        assert [path.name for path in node.storage.glob("jobs/*/outcome")] == ["outcome"]
