"""RT Structure Set, Parametric Map and Secondary Capture hold what the SEG holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from matplotlib.path import Path as Outline
from pydicom import dcmread
from scipy.ndimage import binary_fill_holes
from support.foreign_tools import dcmqi
from support.results import Planted, result_study

from dicom_node.contract.messages import Product
from worker.results.write import write_results
from worker.volume.geometry import Volume

GEOMETRIES: list[dict[str, Any]] = [
    {"shape_zyx": (12, 31, 29), "lesions": [Planted((5, 12, 17), 4.0), Planted((9, 25, 5), 0.0)]},
    {"orientation": "sagittal", "shape_zyx": (12, 31, 29), "lesions": [Planted((0, 0, 0), 3.0)]},
    {"orientation": "oblique", "descending": True},
    {"enhanced": True, "orientation": "coronal"},
]


@pytest.mark.parametrize("options", GEOMETRIES)
def test_filling_the_contours_gives_the_lesions_back(options: dict[str, Any], tmp_path: Path) -> None:
    context = result_study(**options).context
    write_results(tmp_path, context, (Product.RTSTRUCT,))
    structures = dcmread(tmp_path / "rtstruct.dcm")
    labels, grid = context.lesion_map.labels, context.lesion_map.grid
    _, rows, columns = labels.shape
    centres = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1).reshape(-1, 2)
    for lesion, region in zip(context.lesions, structures.ROIContourSequence, strict=True):
        found = np.zeros(labels.shape, dtype=bool)
        for contour in region.ContourSequence:
            points = grid.to_index(np.array(contour.ContourData, dtype=float).reshape(-1, 3))
            assert np.abs(points[:, 0] - points[0, 0]).max() < 0.01
            z = round(float(points[0, 0]))
            found[z] ^= Outline(np.round(points[:, 1:], 2)).contains_points(centres).reshape(rows, columns)
        mine = np.stack([binary_fill_holes(plane) for plane in labels == lesion.number])
        assert np.array_equal(found, mine)


def test_the_structure_set_names_its_images_and_lesions(tmp_path: Path) -> None:
    context = result_study().context
    write_results(tmp_path, context, (Product.RTSTRUCT,))
    structures = dcmread(tmp_path / "rtstruct.dcm")
    assert [roi.ROIName for roi in structures.StructureSetROISequence] == ["Metastasis BM-1", "Metastasis BM-2"]
    assert {item.RTROIInterpretedType for item in structures.RTROIObservationsSequence} == {"GTV"}
    assert structures.ApprovalStatus == "UNAPPROVED"
    assert structures.StructureSetName == "RESEARCH USE ONLY - NOT FOR DIAGNOSIS"


@pytest.mark.parametrize("options", GEOMETRIES)
def test_dcmqi_reads_the_probability_of_the_parametric_map(options: dict[str, Any], tmp_path: Path) -> None:
    context = result_study(**options).context
    write_results(tmp_path, context, (Product.PARAMETRIC_MAP,))
    dcmqi("paramap2itkimage", "--inputDICOM", tmp_path / "parametric_map.dcm", "--outputDirectory", tmp_path,
          "--outputType", "nrrd")  # fmt: skip
    (path,) = tmp_path.glob("*.nrrd")
    read = Volume.from_sitk(sitk.ReadImage(str(path)))
    mine = np.argwhere(context.probability.voxels > 0)
    index = np.rint(read.grid.to_index(context.probability.grid.to_mm(mine))).astype(int)
    assert np.allclose(read.voxels[tuple(index.T)], context.probability.voxels[tuple(mine.T)], atol=1e-6)


def test_captures_show_each_slice_with_a_lesion_and_its_outline(tmp_path: Path) -> None:
    context = result_study().context
    files = write_results(tmp_path, context, (Product.SECONDARY_CAPTURE,))
    with_lesion = np.flatnonzero(context.lesion_map.mask.any(axis=(1, 2)))
    assert [file.file_name for file in files] == [
        f"secondary_capture_{n:03d}.dcm" for n in range(1, len(with_lesion) + 1)
    ]
    assert len({file.series_instance_uid for file in files}) == 1
    for z, file in zip(with_lesion, files, strict=True):
        capture = dcmread(tmp_path / file.file_name)
        assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == context.reference.headers[z].SOPInstanceUID
        pixels = capture.pixel_array.astype(int)
        factor = pixels.shape[0] // context.lesion_map.labels.shape[1]
        coloured = np.ptp(pixels, axis=-1) > 60
        outlined = np.argwhere(coloured) / factor
        lesion = np.argwhere(context.lesion_map.labels[z])
        assert outlined.min(axis=0) == pytest.approx(lesion.min(axis=0), abs=1.0)
