"""The lesions of a result come back from disk as they were, and a damaged file is refused."""

from pathlib import Path

import numpy as np
import pytest
from support.results import result_study

from worker.errors import WorkerError
from worker.lesions import record


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    written = result_study(orientation="oblique").record
    record.save(tmp_path, written)
    read = record.load(tmp_path)
    assert np.array_equal(read.lesions.labels, written.lesions.labels)
    assert read.lesions.grid.same_as(written.lesions.grid)
    assert (read.tracks, read.names_given) == (written.tracks, written.names_given)
    assert read.frame_of_reference_uid == written.frame_of_reference_uid


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    first = record.save(tmp_path, result_study().record).read_bytes()
    assert record.save(tmp_path, result_study().record).read_bytes() == first


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / record.FILE_NAME).write_bytes(content)
    with pytest.raises(WorkerError, match="cannot be read"):
        record.load(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="cannot be read"):
        record.load(tmp_path)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    about = np.frombuffer(b'{"format": 99}', dtype=np.uint8)
    np.savez(tmp_path / record.FILE_NAME, labels=np.zeros((1, 1, 1)), affine=np.eye(4), about=about)
    with pytest.raises(WorkerError, match="format 99"):
        record.load(tmp_path)
