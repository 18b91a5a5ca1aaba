"""Series become volumes whose voxels lie where the headers say: any orientation, classic or enhanced, packed or not."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless
from support.dicom_objects import ORIENTATIONS, mr_series, uid, write
from support.enhanced_objects import enhanced, legacy_converted, voxels_of

from worker.errors import SeriesRefused
from worker.volume.geometry import SeriesVolume
from worker.volume.read import read_series

SHAPE, SPACING, ORIGIN = (7, 9, 11), (2.5, 0.8, 1.1), (-31.0, 12.5, 40.0)


def slices(**more: Any) -> list[Dataset]:
    return mr_series(
        voxels=voxels_of(SHAPE), spacing_mm_zyx=SPACING, origin_mm=ORIGIN, **{"orientation": "oblique", **more}
    )


def read(series: list[Dataset], folder: Path) -> SeriesVolume:
    return read_series(write(series, folder))


def refusal(series: list[Dataset], folder: Path) -> str:
    with pytest.raises(SeriesRefused) as refused:
        read(series, folder)
    return str(refused.value)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_voxel_lies_where_its_header_says(orientation: str, tmp_path: Path) -> None:
    """PS3.3 C.7.6.2.1.1: position + column index x column spacing x row cosines + row index x row spacing x ..."""
    series = slices(orientation=orientation)
    paths = write(series, tmp_path)
    random.Random(3).shuffle(paths)
    found = read_series(paths).volume
    cosines = np.array(ORIENTATIONS[orientation])
    for z, y, x in [(0, 0, 0), (6, 8, 10), (3, 2, 7)]:
        wanted = np.array(ORIGIN) + cosines[:3] * x * SPACING[2] + cosines[3:] * y * SPACING[1]
        wanted += np.cross(cosines[:3], cosines[3:]) * z * SPACING[0]
        index = np.round(found.grid.to_index(wanted)).astype(int)
        np.testing.assert_allclose(found.grid.to_mm(index), wanted, atol=2e-3)
        assert found.voxels[tuple(index)] == voxels_of(SHAPE)[z, y, x]


def test_headers_come_in_the_order_of_the_slices(tmp_path: Path) -> None:
    paths = write(slices(), tmp_path)
    found = read_series(paths[::-1])
    assert [int(ds.InstanceNumber) for ds in found.headers] == list(range(1, 8))
    assert all("PixelData" not in ds for ds in found.headers)


def test_every_slice_has_its_own_rescale(tmp_path: Path) -> None:
    """Philips writes another slope on each slice."""
    series = slices()
    for number, ds in enumerate(series):
        ds.RescaleSlope, ds.RescaleIntercept = 0.5 + 0.25 * number, -10.0 * number
    found = read(series, tmp_path).volume.voxels
    for number in range(len(series)):
        wanted = voxels_of(SHAPE)[number] * (0.5 + 0.25 * number) - 10.0 * number
        np.testing.assert_allclose(found[number], wanted, rtol=1e-6)


@pytest.mark.parametrize("make", [enhanced, legacy_converted])
def test_enhanced_objects_give_the_volume_of_the_classic_ones(make: Any, tmp_path: Path) -> None:
    paths = write(slices(), tmp_path / "classic")
    classic = read_series(paths).volume
    found = read([make([pydicom.dcmread(path) for path in paths])], tmp_path / "enhanced")
    np.testing.assert_array_equal(found.volume.voxels, classic.voxels)
    assert found.volume.grid.same_as(classic.grid)
    assert len(found.headers) == 1


def test_enhanced_frames_in_any_order_with_their_own_rescale(tmp_path: Path) -> None:
    series = slices()
    for number, ds in enumerate(series):
        ds.RescaleSlope, ds.RescaleIntercept = 1.0 + number, 5.0
    classic = read(series, tmp_path / "classic").volume
    mixed = random.Random(1).sample(series, len(series))
    found = read([enhanced(mixed)], tmp_path / "enhanced").volume
    np.testing.assert_array_equal(found.voxels, classic.voxels)
    assert found.grid.same_as(classic.grid)


def test_phase_frames_beside_magnitude_are_left_out(tmp_path: Path) -> None:
    series = slices()
    types = [["ORIGINAL", "PRIMARY", "M_FFE", "M"]] * 7 + [["ORIGINAL", "PRIMARY", "PHASE MAP", "P"]] * 7
    found = read([enhanced([*series, *series], frame_types=types)], tmp_path).volume
    np.testing.assert_array_equal(found.voxels, voxels_of(SHAPE))
    only = enhanced(series, frame_types=types[7:])
    assert refusal([only], tmp_path / "phase") == "the series holds phase images, no magnitude"


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("classic", [True, False])
def test_packed_series_are_read_as_they_were(syntax: str, classic: bool, tmp_path: Path) -> None:
    rising = np.add.outer(np.arange(5) * 400, np.add.outer(np.arange(48) * 20, np.arange(64))).astype(np.uint16)
    series = mr_series(voxels=rising, orientation="sagittal")
    paths = write(series if classic else [enhanced(series)], tmp_path)
    for path in paths:
        ds = pydicom.dcmread(path)
        ds.compress(syntax, generate_instance_uid=False)
        ds.save_as(path)
    np.testing.assert_array_equal(read_series(paths).volume.voxels, rising)


def altered(number: int, **headers: Any) -> list[Dataset]:
    series = slices()
    for keyword, value in headers.items():
        setattr(series[number], keyword, value)
    return series


def twice(**second: Any) -> list[Dataset]:
    """Two volumes at one place that differ in some keyword."""
    again = slices(headers=second)
    for number, ds in enumerate(again):
        ds.SOPInstanceUID = uid("again", number)
    return [*slices(), *again]


def moved(ds: Dataset, by_mm: tuple[float, float, float]) -> Dataset:
    ds.ImagePositionPatient = [float(a) + b for a, b in zip(ds.ImagePositionPatient, by_mm, strict=True)]
    return ds


def sheared() -> list[Dataset]:
    """A stack with a gantry tilt: each slice a little further along its own rows."""
    row = np.array(ORIENTATIONS["oblique"][:3])
    return [moved(ds, tuple(row * 0.6 * number)) for number, ds in enumerate(slices())]


REFUSED: dict[str, tuple[Any, str]] = {
    "a gap": (lambda: slices()[:3] + slices()[4:],
              "1 slices are missing (steps of 2.50 mm, and gaps of up to 5.00 mm)"),
    "doubled slices": (lambda: twice(), "7 slices are doubled: they lie where another slice of the series lies"),
    "the same object twice": (lambda: [*slices(), slices()[2]], "an object is doubled in the series"),
    "uneven spacing": (lambda: [moved(ds, (0, 0, 0.9 * (n == 4))) for n, ds in enumerate(slices(orientation="axial"))],
                       "the slices are unevenly spaced, 1.60 to 3.40 mm apart"),
    "tilt": (sheared, "the stack of slices is tilted (sheared): they are shifted against one another in plane"),
    "4D": (lambda: twice(TemporalPositionIdentifier=2),
           "the series holds 2 volumes that differ in time point; one is needed"),
    "multi-echo": (lambda: twice(EchoTime=9.9), "the series holds 2 volumes that differ in echo time; one is needed"),
    "two inversion times": (
        lambda: twice(InversionTime=2500.0), "the series holds 2 volumes that differ in inversion time; one is needed",
    ),
    "4D enhanced": (lambda: [enhanced(twice(TemporalPositionIdentifier=2))],
                    "the series holds 2 volumes that differ in time point; one is needed"),
    "multi-echo enhanced": (lambda: [enhanced(twice(EchoTime=9.9))],
                            "the series holds 2 volumes that differ in echo time; one is needed"),
    "diffusion": (lambda: slices(headers={"DiffusionBValue": 1000.0}), "the series is diffusion-weighted"),
    "mosaic": (lambda: slices(headers={"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]}),
               "the series is a mosaic (several slices tiled into one image)"),
    "a localizer of three planes": (
        lambda: altered(3, ImageOrientationPatient=[0, 1, 0, 0, 0, -1]),
        "the slices have different orientations (a localizer, or several stacks in one series)",
    ),
    "two pixel spacings": (lambda: altered(3, PixelSpacing=[0.9, 1.1]), "the slices have different pixel spacings"),
    "two sizes": (lambda: [*slices()[:6], *mr_series(orientation="oblique", shape_zyx=(1, 9, 12))],
                  "the slices have different sizes"),
    "two frames of reference": (
        lambda: altered(3, FrameOfReferenceUID="1.2.3"), "the slices have different frames of reference",
    ),
    "two series": (lambda: altered(3, SeriesInstanceUID="1.2.3"), "the objects belong to different series"),
    "two enhanced objects": (lambda: [enhanced(slices()), enhanced(slices(orientation="oblique", headers={}))],
                             "the series holds 2 enhanced objects, one is needed"),
    "colour": (lambda: slices(headers={"PhotometricInterpretation": "RGB"}),
               "the series is not grey scale with bright as high (it is RGB)"),
    "no place": (lambda: slices(headers={"ImagePositionPatient": None}), "a slice has no usable ImagePositionPatient"),
    "a skewed orientation": (
        lambda: slices(headers={"ImageOrientationPatient": [1, 0, 0, 0.5, 1, 0]}),
        "a slice's orientation (ImageOrientationPatient) is not two perpendicular unit vectors",
    ),
    "no pixels": (lambda: slices(headers={"PixelData": None}),
                  "an object of the series has no pixel data: it is truncated or a reference only"),
    "one slice": (lambda: slices()[:1], "a single slice is no volume"),
    "CT": (lambda: slices(headers={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}),
           "an object of the series is no MR image"),
    "a frame of reference that is absent": (
        lambda: slices(headers={"FrameOfReferenceUID": None}),
        "an object of the series lacks FrameOfReferenceUID",
    ),
    "nothing but one value": (lambda: mr_series(voxels=np.full(SHAPE, 7)),
                              "all voxels of the series have the same value"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_volume_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    make, reason = REFUSED[name]
    assert refusal(make(), tmp_path) == reason


def test_a_slope_that_is_no_number_is_refused(tmp_path: Path) -> None:
    series = slices()
    series[2].RescaleIntercept = "0"
    series[2].RescaleSlope = "1e308"
    with np.errstate(over="ignore"):
        assert refusal(series, tmp_path) == "the series has voxels that are no numbers"


def test_a_file_that_is_no_dicom_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"no DICOM")
    with pytest.raises(SeriesRefused, match="damaged or no DICOM"):
        read_series([path])
    with pytest.raises(SeriesRefused, match="no objects"):
        read_series([])
