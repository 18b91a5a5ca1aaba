"""The demo tells found lesions from missed ones and false ones, and fails when nothing came of it."""

import json
from pathlib import Path

from dicom_node.contract.messages import JobOutcome, Lesion, OutcomeStatus
from dicom_node.demo.report import Planted, Summary, match_lesions


def planted(x: float, diameter_mm: float = 8.0) -> Planted:
    return Planted(centroid_mm=(x, 0.0, 0.0), volume_ml=0.3, diameter_mm=diameter_mm)


def lesion(number: int, x: float) -> Lesion:
    return Lesion(
        number=number,
        tracking_uid=f"2.25.{number}",
        tracking_id=f"BM-{number}",
        volume_ml=0.3,
        long_axis_mm=8.0,
        short_axis_mm=6.0,
        long_axis_ends_mm=((x, 0.0, 0.0), (x + 8.0, 0.0, 0.0)),
        centroid_mm=(x, 0.0, 0.0),
        mean_probability=0.8,
        max_probability=0.9,
    )


def summary(lesions: list[Lesion], plants: list[Planted], files: dict[str, str]) -> Summary:
    matches, unmatched = match_lesions(plants, lesions)
    outcome = JobOutcome(job_id="ab" * 16, attempt=1, status=OutcomeStatus.COMPLETED, lesions=tuple(lesions))
    return Summary(outcome=outcome, matches=matches, unmatched=unmatched, files=files, seconds={})


BOTH = {"seg": "seg.dcm", "sr": "sr.dcm"}


def test_each_reported_lesion_answers_for_one_planted_lesion_the_nearest() -> None:
    found = summary([lesion(1, 0.5), lesion(2, 60.0)], [planted(0), planted(3), planted(30)], BOTH)
    assert [match.lesion.number if match.lesion else None for match in found.matches] == [1, None, None]
    assert [one.number for one in found.unmatched] == [2]
    assert found.found == 1


def test_a_lesion_beyond_its_reach_is_not_found() -> None:
    assert summary([lesion(1, 7.1)], [planted(0)], BOTH).found == 0
    assert summary([lesion(1, 6.9)], [planted(0)], BOTH).found == 1


def test_the_demo_succeeds_only_with_seg_sr_and_a_planted_lesion_found() -> None:
    good = summary([lesion(1, 0)], [planted(0)], BOTH)
    assert good.succeeded
    assert not summary([lesion(1, 0)], [planted(0)], {"sr": "sr.dcm"}).succeeded
    assert not summary([lesion(1, 90)], [planted(0)], BOTH).succeeded


def test_the_summary_counts_lesions_of_six_millimetres_apart(tmp_path: Path) -> None:
    made = summary([lesion(1, 0)], [planted(0, 6.0), planted(40, 3.0), planted(80, 9.0)], BOTH)
    made.write(tmp_path / "summary.json")
    raw = json.loads((tmp_path / "summary.json").read_text())
    assert (raw["found_of_6_mm_or_more"], raw["planted_of_6_mm_or_more"]) == (1, 2)
    assert raw["research_use_only"] is True
