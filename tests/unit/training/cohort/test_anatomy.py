"""A label map that cannot be used is told by its name, in one line; a header is looked at before the work begins."""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from training.cohort.__main__ import main
from training.cohort.anatomy import check_maps, load_anatomy
from training.errors import TrainingError

WHITE_MATTER = np.full((24, 24, 24), 2, dtype=np.int16)


def image(path: Path, labels: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), path)


def cut(path: Path, share: float) -> None:
    rng = np.random.default_rng(0)
    image(path, rng.integers(0, 50, (24, 24, 24)).astype(np.int16))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


HEADER_TELLS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "not gzip": ("map.nii.gz", lambda path: path.write_text("hello")),
    "empty": ("map.nii", lambda path: path.write_bytes(b"")),
    "empty gzip": ("map.nii.gz", lambda path: path.write_bytes(gzip.compress(b""))),
    "4D": ("map.nii.gz", lambda path: image(path, WHITE_MATTER[..., None].repeat(2, -1))),
    "2D": ("map.nii.gz", lambda path: image(path, WHITE_MATTER[0])),
}
VOXELS_TELL: dict[str, tuple[str, Callable[[Path], object]]] = {
    "cut off, gzip": ("map.nii.gz", lambda path: cut(path, 0.6)),
    "cut off": ("map.nii", lambda path: cut(path, 0.6)),
    "all zeros": ("map.nii.gz", lambda path: image(path, 0 * WHITE_MATTER)),
    "no brain": ("map.nii.gz", lambda path: image(path, 0 * WHITE_MATTER + 511)),
    "negative": ("map.nii.gz", lambda path: image(path, -WHITE_MATTER)),
    "not a number": ("map.nii.gz", lambda path: image(path, np.full((24, 24, 24), np.nan, dtype=np.float32))),
}
UNUSABLE = HEADER_TELLS | VOXELS_TELL


@pytest.mark.parametrize("fault", UNUSABLE)
def test_a_map_that_cannot_be_used_is_named(fault: str, tmp_path: Path) -> None:
    name, write = UNUSABLE[fault]
    write(tmp_path / name)
    with pytest.raises(TrainingError) as told:
        load_anatomy(tmp_path / name)
    assert str(tmp_path / name) in str(told.value)
    assert "3D, with FreeSurfer's labels of the brain" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("fault", HEADER_TELLS)
def test_a_header_that_tells_of_it_ends_the_command_before_any_patient(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even of a map that no patient may come to have."""
    maps, out = tmp_path / "maps", tmp_path / "out"
    maps.mkdir()
    image(maps / "a.nii.gz", WHITE_MATTER)
    name, write = HEADER_TELLS[fault]
    write(maps / name)
    with pytest.raises(TrainingError, match="cannot be used"):
        check_maps(maps)
    for command in ("cache", "nifti", "dicom"):
        assert main([command, "--out", str(out), "--anatomy", str(maps)]) == 2
        said = capsys.readouterr()
        assert said.err.startswith(f"training.cohort: --anatomy: {maps / name} cannot be used (")
        assert said.err.count("\n") == 1
        assert not said.out
    assert not any(out.iterdir())


def test_a_map_that_can_be_used_is(tmp_path: Path) -> None:
    image(tmp_path / "map.nii.gz", WHITE_MATTER)
    check_maps(tmp_path)
    check_maps(None)
    assert load_anatomy(tmp_path / "map.nii.gz").source == "map.nii.gz"
