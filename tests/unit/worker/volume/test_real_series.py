"""A real Siemens MPRAGE of 192 sagittal slices, from a foreign sender into our store, and read into the right volume.

The series lies beside the repository (shared/data/dicom) and is no part of it: without it these tests are skipped.
"""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from support.heads import shared_data
from support.receiving import Running, running

from dicom_node.slots.classify import classify_study
from dicom_node.slots.folder import read_series_headers
from worker.volume.geometry import SeriesVolume, Volume
from worker.volume.head import head_mask
from worker.volume.quality import require_brain
from worker.volume.read import read_series

ARCHIVE = shared_data("dicom", "siemens_skyra_mprage.tar.xz")
pytestmark = [
    pytest.mark.skipif(ARCHIVE is None, reason="shared/data/dicom is not beside this repository"),
    pytest.mark.skipif(shutil.which("storescu") is None, reason="apt-get install dcmtk"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    assert ARCHIVE is not None
    folder = tmp_path_factory.mktemp("real")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return sorted(folder.rglob("*.dcm"))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="module")
def received(node: Running, files: list[Path]) -> list[Path]:
    sent = [str(path) for path in files]
    done = subprocess.run(
        ["storescu", "-aec", "QUARTET", "127.0.0.1", str(node.port), *sent], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return node.stored()


@pytest.fixture(scope="module")
def series(received: list[Path]) -> SeriesVolume:
    return read_series(received)


def test_dcmsend_brings_the_same_and_adds_nothing(node: Running, files: list[Path], received: list[Path]) -> None:
    words = ["dcmsend", "-aec", "QUARTET", "127.0.0.1", str(node.port), *map(str, files)]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    assert node.stored() == received
    assert len(received) == len(files) == 192


def test_every_voxel_is_where_simpleitk_has_it(series: SeriesVolume, files: list[Path]) -> None:
    """A second reader: ITK with GDCM sorts and places the files by itself."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(files[0].parent)))
    other = Volume.from_sitk(reader.Execute())
    ours = series.volume
    assert ours.grid.shape_zyx == other.grid.shape_zyx == (192, 256, 256)
    assert ours.grid.same_as(other.grid, tolerance_mm=0.01)
    np.testing.assert_array_equal(ours.voxels, other.voxels)
    assert ours.grid.spacing_mm_xyz == pytest.approx((0.859375, 0.859375, 0.9), abs=1e-4)


def test_it_is_a_head_that_stands_upright(series: SeriesVolume) -> None:
    """The gates let it pass, and it lies as heads lie: nose to the front, vertex up, the neck below."""
    require_brain(series.volume)
    mask = head_mask(series.volume)
    places = series.volume.grid.to_mm(np.argwhere(mask)[::50])
    width, depth, height = np.ptp(places, axis=0)
    assert 140 < width < 200
    assert 180 < depth < 260
    assert 180 < height < 270
    assert np.ptp(places[places[:, 2] > places[:, 2].max() - 20][:, 1]) < 0.8 * depth


def test_before_gadolinium_it_has_no_slot(received: list[Path]) -> None:
    """An MPRAGE without agent is no input of the model, and nothing in its header says that it had any."""
    (study,) = read_series_headers(received[0].parent.parent)
    verdict = classify_study(study.series)
    assert [s.slot for s in verdict.series] == [None]
    assert any("3D T1 gradient echo" in reason for reason in verdict.series[0].reasons)


def test_packed_it_gives_the_same_volume(series: SeriesVolume, files: list[Path], tmp_path: Path) -> None:
    """DCMTK packs the real series as JPEG lossless, JPEG-LS and RLE; ours unpacks."""
    few = sorted(files)[80:100]
    plain = read_series(few).volume
    for encoder in (["dcmcjpeg", "+e1"], ["dcmcjpls"], ["dcmcrle"]):
        packed = []
        for number, path in enumerate(few):
            packed.append(tmp_path / f"{encoder[0]}{number}.dcm")
            subprocess.run([*encoder, str(path), str(packed[-1])], check=True, capture_output=True)
        assert pydicom.dcmread(packed[0]).file_meta.TransferSyntaxUID.is_compressed
        np.testing.assert_array_equal(read_series(packed).volume.voxels, plain.voxels)
