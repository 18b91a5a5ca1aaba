"""Pixel data is decoded right, by a second decoder's word, or refused before it is decoded."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, RLELossless
from support.dicom_objects import mr_series, write
from support.lossless_jpeg import lossless_jpeg

from worker.errors import SeriesRefused
from worker.volume.codestream import jpeg2000_header, jpeg_header
from worker.volume.decode import DecodeLimits, check_size, decode
from worker.volume.jpeg_lossless import decode_jpeg_lossless

needs_dcmtk = pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="apt-get install dcmtk")
_ENCODERS = {
    "first-order JPEG lossless": ["dcmcjpeg", "+e1"],
    **{f"JPEG lossless, predictor {k}": ["dcmcjpeg", "+el", "+sv", str(k)] for k in range(1, 8)},
    "JPEG lossless with a point transform": ["dcmcjpeg", "+e1", "+pt", "2"],
    "JPEG-LS": ["dcmcjpls"],
    "RLE": ["dcmcrle"],
}
_DECODERS = {"dcmcjpeg": "dcmdjpeg", "dcmcjpls": "dcmdjpls", "dcmcrle": "dcmdrle"}


def _picture(bits: int, signed: bool = False, size: tuple[int, int] = (33, 47)) -> np.ndarray:
    """Smooth and rough parts, both ends of the range."""
    rng = np.random.default_rng(bits)
    y, x = np.mgrid[: size[0], : size[1]]
    wave = 0.5 + 0.4 * np.sin(x / 5) * np.cos(y / 7) + rng.normal(0, 0.05, size)
    values = np.clip(wave * (1 << bits), 0, (1 << bits) - 1).astype(int)
    values[:3, :5], values[-3:, -5:] = 0, (1 << bits) - 1
    return values - ((1 << (bits - 1)) if signed else 0)


def _file(folder: Path, values: np.ndarray, bits: int, signed: bool = False) -> Path:
    series = mr_series(voxels=values[None].astype(np.int64) & 0xFFFF, shape_zyx=(1, *values.shape))
    series[0].BitsStored, series[0].HighBit, series[0].PixelRepresentation = bits, bits - 1, int(signed)
    return write(series, folder)[0]


@needs_dcmtk
@pytest.mark.parametrize("encoder", _ENCODERS)
@pytest.mark.parametrize(("bits", "signed"), [(12, False), (16, False), (16, True)])
def test_two_decoders_agree(encoder: str, bits: int, signed: bool, tmp_path: Path) -> None:
    raw = _file(tmp_path, _picture(bits, signed), bits, signed)
    packed, unpacked = tmp_path / "packed.dcm", tmp_path / "unpacked.dcm"
    subprocess.run([*_ENCODERS[encoder], str(raw), str(packed)], check=True, capture_output=True)
    subprocess.run([_DECODERS[_ENCODERS[encoder][0]], str(packed), str(unpacked)], check=True, capture_output=True)
    ours = decode(pydicom.dcmread(packed))
    np.testing.assert_array_equal(ours, decode(pydicom.dcmread(unpacked)))
    if "point transform" not in encoder:
        np.testing.assert_array_equal(ours[0], _picture(bits, signed))


@pytest.mark.parametrize(("bits", "signed"), [(12, False), (16, False), (16, True)])
def test_jpeg_2000_comes_back_as_it_was_and_gdcm_agrees(bits: int, signed: bool, tmp_path: Path) -> None:
    path = _file(tmp_path, _picture(bits, signed), bits, signed)
    ds = pydicom.dcmread(path)
    ds.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg")
    ds.save_as(path)
    ours = decode(pydicom.dcmread(path))
    np.testing.assert_array_equal(ours[0], _picture(bits, signed))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), ours)


@needs_dcmtk
@pytest.mark.parametrize(("bits", "wrap", "restart_rows"), [(8, True, 0), (12, True, 0), (16, False, 0), (12, True, 4)])
def test_differences_that_wrap_around_are_not_clamped(bits: int, wrap: bool, restart_rows: int, tmp_path: Path) -> None:
    """pylibjpeg-libjpeg issue 90: it clamps; we and DCMTK do not."""
    picture = _picture(bits)
    ds = pydicom.dcmread(_file(tmp_path, picture, bits))
    stream = lossless_jpeg(picture, bits, wrap=wrap, restart_rows=restart_rows)
    _encapsulate(ds, [stream], JPEGLosslessSV1, bits)
    np.testing.assert_array_equal(decode_jpeg_lossless(stream), picture)
    np.testing.assert_array_equal(decode(ds)[0], picture)
    packed, unpacked = tmp_path / "packed.dcm", tmp_path / "unpacked.dcm"
    ds.save_as(packed)
    subprocess.run(["dcmdjpeg", str(packed), str(unpacked)], check=True, capture_output=True)
    np.testing.assert_array_equal(pydicom.dcmread(unpacked).pixel_array, picture)


def test_a_size_beyond_the_limits_is_refused_before_decoding(tmp_path: Path) -> None:
    ds = pydicom.dcmread(_file(tmp_path, _picture(12), 12))
    _encapsulate(ds, [b"\0" * 64], RLELossless, 12)
    ds.Rows = ds.Columns = 30_000
    with pytest.raises(SeriesRefused, match="30000 x 30000"):
        check_size([ds], DecodeLimits())
    ds.Rows = ds.Columns = 1024
    with pytest.raises(SeriesRefused, match="million voxels"):
        check_size([ds] * 300, DecodeLimits())
    with pytest.raises(SeriesRefused, match="too short"):
        decode(ds)


@needs_dcmtk
def test_a_codestream_of_another_size_is_refused(tmp_path: Path) -> None:
    for encoder in (["dcmcjpeg", "+e1"], ["dcmcjpls"]):
        raw, packed = _file(tmp_path, _picture(12), 12), tmp_path / "packed.dcm"
        subprocess.run([*encoder, str(raw), str(packed)], check=True, capture_output=True)
        ds = pydicom.dcmread(packed)
        ds.Rows += 1
        with pytest.raises(SeriesRefused, match="the header says 34 x 47"):
            decode(ds)


@needs_dcmtk
@pytest.mark.parametrize("encoder", [["dcmcjpeg", "+e1"], ["dcmcjpls"], ["dcmcrle"]])
def test_damaged_pixel_data_is_refused_or_decoded_to_its_size_and_never_raises_otherwise(
    encoder: list[str], tmp_path: Path
) -> None:
    raw, packed = _file(tmp_path, _picture(12), 12), tmp_path / "packed.dcm"
    subprocess.run([*encoder, str(raw), str(packed)], check=True, capture_output=True)
    ds = pydicom.dcmread(packed)
    whole = ds.PixelData
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole[: rng.integers(20, len(whole))] if rng.random() < 0.3 else whole)
        for at in rng.integers(16, len(damaged), 3):
            damaged[at] = rng.integers(256)
        ds.PixelData = bytes(damaged)
        try:
            assert decode(ds).shape == (1, 33, 47)
        except SeriesRefused:
            continue


def test_truncated_native_pixels_are_refused(tmp_path: Path) -> None:
    ds = pydicom.dcmread(_file(tmp_path, _picture(12), 12))
    ds.PixelData = ds.PixelData[:-10]
    with pytest.raises(SeriesRefused, match="truncated"):
        decode(ds)


def test_an_overlay_in_the_unused_bits_does_not_reach_the_voxels(tmp_path: Path) -> None:
    ds = pydicom.dcmread(_file(tmp_path, _picture(12) | 0x8000, 12))
    np.testing.assert_array_equal(decode(ds)[0], _picture(12))


def test_codestream_headers_tell_the_truth_or_raise() -> None:
    assert jpeg_header(lossless_jpeg(_picture(12), 12)).columns == 47
    with pytest.raises(ValueError, match="not a JPEG 2000"):
        jpeg2000_header(b"\xff\x4f\xff\x51" + b"\0" * 8)
    lossy = lossless_jpeg(_picture(12), 12).replace(b"\xff\xc3", b"\xff\xc1")
    with pytest.raises(ValueError, match="not of a lossless process"):
        jpeg_header(lossy)


def _encapsulate(ds: Dataset, streams: list[bytes], syntax: str, bits: int) -> None:
    ds.PixelData = encapsulate(streams)
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    if bits == 8:
        ds.BitsAllocated = 8
