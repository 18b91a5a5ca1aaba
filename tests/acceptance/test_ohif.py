"""A result that the viewer does not show does not exist: SEG and SR in OHIF, judged by the pixels of the screen."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support.dicom_objects import uid
from support.ohif import ohif_folder, open_page, running_ohif
from support.ohif_viewer import OhifViewer
from support.orthanc import AE_TITLE, running_orthanc
from support.results import Planted, ResultStudy, result_study, write_sources

from dicom_node.contract.messages import Lesion, Product
from dicom_node.delivery.report import Verdict
from dicom_node.delivery.send import send_files
from dicom_node.settings import DestinationSettings
from worker.results.write import write_results

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SHAPE_ZYX, SPACING_MM_ZYX = (16, 96, 88), (4.0, 2.0, 2.0)
LESIONS = (Planted((8, 30, 62), 14.0), Planted((9, 68, 26), 9.0))
"""Far from every axis of symmetry, and of two sizes: a flip, a swap or a shift is seen."""
PLANTED_ABOVE = 700
"""Only what was planted is so bright in the images."""
ORIENTATIONS = ("axial", "sagittal")


@dataclass(frozen=True)
class Shown:
    """OHIF over an Orthanc that holds one study of each orientation."""

    viewer: OhifViewer
    studies: dict[str, ResultStudy]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    ohif_folder()
    root = tmp_path_factory.mktemp("ohif")
    studies = {orientation: made_study(orientation) for orientation in ORIENTATIONS}
    with running_orthanc(root / "orthanc") as orthanc:
        destination = DestinationSettings(name="orthanc", ae_title=AE_TITLE, port=orthanc.dicom_port)
        for orientation, study in studies.items():
            files = study_files(study, root / orientation)
            reports = send_files(destination, files, own_ae_title="QUARTET")
            assert {report.verdict for report in reports} == {Verdict.SENT}
        with running_ohif(root / "nginx", orthanc) as address, open_page(1000, 640) as page:
            yield Shown(OhifViewer(page, address), studies)


def made_study(orientation: str) -> ResultStudy:
    return result_study(
        orientation=orientation,
        shape_zyx=SHAPE_ZYX,
        spacing_mm_zyx=SPACING_MM_ZYX,
        lesions=LESIONS,
        headers={"StudyInstanceUID": uid("ohif", orientation)},
    )


def study_files(study: ResultStudy, folder: Path) -> list[Path]:
    results = folder / "results"
    results.mkdir(parents=True)
    written = write_results(results, study.context, (Product.SEG, Product.SR))
    return [*write_sources(study, folder), *(results / file.file_name for file in written)]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_seg_and_sr_are_seen_where_the_lesions_are(shown: Shown, orientation: str, tmp_path: Path):
    viewer, study = shown.viewer, shown.studies[orientation]
    reference = study.context.reference
    viewer.errors.clear()
    viewer.open(study.context.request.study_instance_uid, series=worst_order(study))

    assert viewer.show_segmentation(reference.series_instance_uid) == ["Brain metastases"]
    for lesion in LESIONS:
        assert_overlay_on(viewer, study, lesion.centre_zyx[0], tmp_path)

    measured = viewer.show_report(reference.series_instance_uid)
    assert [name for name, _ in measured] == [lesion.tracking_id for lesion in study.context.lesions]
    for (_, texts), lesion in zip(measured, study.context.lesions, strict=True):
        assert any(text.startswith(f"Volume {lesion.volume_ml:.2f}") for text in texts)
        assert_long_axis_drawn(viewer, study, lesion, tmp_path)
    assert viewer.errors == []


def worst_order(study: ResultStudy) -> list[str]:
    """The images that the SEG belongs to come last: OHIF must not take another input for them."""
    sources = [str(datasets[0].SeriesInstanceUID) for datasets in study.series.values()]
    results = [study.context.uid(f"{product}.series") for product in (Product.SEG, Product.SR)]
    return [*sources[1:], *results, sources[0]]


def assert_overlay_on(viewer: OhifViewer, study: ResultStudy, slice_index: int, folder: Path) -> None:
    """The tint covers what was planted in a slice and nothing else, to within one voxel."""
    reference = study.context.reference
    seen = viewer.turn_to(str(reference.headers[slice_index].SOPInstanceUID))
    viewer.save(folder / f"slice-{slice_index}.png")
    rows, columns = np.nonzero(reference.volume.voxels[slice_index] > PLANTED_ABOVE)
    index_xyz = np.stack([columns, rows, np.full_like(rows, slice_index), np.ones_like(rows)])
    centres = viewer.on_screen((reference.volume.grid.affine @ index_xyz)[:3].T)
    voxel_px = pixels_a_voxel(viewer, study, slice_index)
    tinted = viewer.tinted(seen)
    y, x = np.nonzero(tinted)
    on_screen = np.stack([x, y], axis=1) + 0.5
    assert len(on_screen), "no overlay is seen"
    nearest = np.abs(on_screen[:, None] - centres[None]).max(axis=2).min(axis=1) / voxel_px
    assert nearest.max() <= 1.5, "the overlay reaches beyond the lesion"
    middles = np.round(centres - 0.5).astype(int)
    covered = tinted[middles[:, 1], middles[:, 0]]
    assert covered.mean() > 0.95, "the overlay leaves out a part of the lesion"


def assert_long_axis_drawn(viewer: OhifViewer, study: ResultStudy, lesion: Lesion, folder: Path) -> None:
    """The report's line runs over the lesion on its slice, from end to end to within one voxel."""
    reference = study.context.reference
    slice_index = round(float(reference.volume.grid.to_index(np.array(lesion.long_axis_ends_mm[0]))[0]))
    viewer.turn_to(str(reference.headers[slice_index].SOPInstanceUID))
    viewer.save(folder / f"report-{lesion.number}.png")
    ends = viewer.on_screen(lesion.long_axis_ends_mm)
    drawn = viewer.drawn_lines()
    off_px = np.minimum(
        np.abs(drawn - ends).max(axis=(1, 2)),
        np.abs(drawn[:, ::-1] - ends).max(axis=(1, 2)),
    )
    assert off_px.min() <= pixels_a_voxel(viewer, study, slice_index), "the long axis is drawn elsewhere"


def pixels_a_voxel(viewer: OhifViewer, study: ResultStudy, slice_index: int) -> float:
    affine = study.context.reference.volume.grid.affine
    ends = np.array([[0, 0, slice_index, 1], [10, 0, slice_index, 1]], dtype=float)
    first, second = viewer.on_screen((ends @ affine.T)[:, :3])
    return float(np.linalg.norm(second - first)) / 10
