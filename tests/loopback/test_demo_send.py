"""The demo's sender goes on over a new association where an answer does not come."""

import threading
from pathlib import Path

import pytest
from support.dicom_objects import mr_series, write
from support.receiving import running

from dicom_node.association import handlers
from dicom_node.demo import pacs
from dicom_node.demo.pacs import DemoPacs


def test_an_answer_that_does_not_come_costs_seconds_not_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write(mr_series(shape_zyx=(6, 16, 16)), tmp_path / "in")
    monkeypatch.setattr(pacs, "ANSWER_S", 1.0)
    done: list[int] = []
    late = threading.Event()
    original = handlers.c_store

    def hang_once(incoming, receive):  # type: ignore[no-untyped-def]
        answer = original(incoming, receive)
        if len(done) == 3 and not late.is_set():
            late.set()
            threading.Event().wait(2.5)
        return answer

    monkeypatch.setattr(handlers, "c_store", hang_once)
    with running(tmp_path / "root") as node:
        DemoPacs("DEMO", tmp_path / "received").send(files, node.port, "QUARTET", lambda: done.append(1))
        assert late.is_set()
        assert len(done) == len(files)
        assert len(node.stored()) == len(files)
