"""The figures: what cannot be drawn leaves none of an earlier report, and a full disk names the file."""

import numpy as np
import pytest

from training.figures import CURVES, FREE, MOSAIC, MosaicRow, write_curves, write_free_response, write_mosaic
from training.free_response import curve, free_response
from training.scores import roc, score

LESION = np.zeros((4, 6, 8), dtype=bool)
LESION[1:3, 2:4, 2:6] = True
PROBABILITY = np.where(LESION, np.float32(0.9), np.float32(0.1))
WHOLE = np.ones_like(LESION)
ROW = MosaicRow(
    name="0001", background=PROBABILITY[1] * 100, probability=PROBABILITY[1], truth=LESION[1], threshold=0.5
)
WITH_LESION, WITHOUT = roc(PROBABILITY, LESION, WHOLE), roc(PROBABILITY, ~WHOLE, WHOLE)
HEALTHY = free_response(PROBABILITY, ~WHOLE, WHOLE, 1.0)


def named(folder):
    return sorted(path.name for path in folder.iterdir())


def test_no_mosaic_of_other_patients_stays(tmp_path):
    write_mosaic([ROW], tmp_path)
    assert named(tmp_path) == [f"{MOSAIC}.pdf", f"{MOSAIC}.png"]
    write_mosaic([], tmp_path)
    assert named(tmp_path) == []


@pytest.mark.parametrize("nothing", [{}, {"ILD": []}, {"ILD": [WITHOUT]}])
def test_no_curve_is_drawn_where_no_patient_has_a_lesion(tmp_path, nothing):
    write_curves({"ILD": [WITH_LESION, WITHOUT], "without dropout": [WITHOUT]}, tmp_path)
    assert named(tmp_path) == [f"{CURVES}.pdf", f"{CURVES}.png"]
    write_curves(nothing, tmp_path)
    assert named(tmp_path) == []


@pytest.mark.parametrize("nothing", [{}, {"ILD": ([], [])}, {"ILD": (curve([HEALTHY]), [])}])
def test_no_free_response_is_drawn_where_no_patient_has_a_lesion(tmp_path, nothing):
    points = curve([free_response(PROBABILITY, LESION, WHOLE, 1.0), HEALTHY])
    scores = [score(PROBABILITY, LESION, WHOLE, threshold=0.5, voxel_volume_mm3=1.0)]
    write_free_response({"ILD": (points, scores), "DeepLab V3": (points, scores)}, tmp_path)
    assert named(tmp_path) == [f"{FREE}.pdf", f"{FREE}.png"]
    write_free_response(nothing, tmp_path)
    assert named(tmp_path) == []


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_a_full_disk_names_the_figure(tmp_path, ending):
    path = tmp_path / f"{MOSAIC}.{ending}"
    (tmp_path / f"{path.name}.new").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as raised:
        write_mosaic([ROW], tmp_path)
    assert raised.value.filename == str(path)
