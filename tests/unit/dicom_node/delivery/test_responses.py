"""What a status or a rejection means: every 16-bit status has one verdict and a reason."""

import pytest

from dicom_node.delivery.report import FileReport, Verdict, overall
from dicom_node.delivery.responses import of_rejection, of_status


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, Verdict.SENT),
        (0xB000, Verdict.SENT),
        (0xB006, Verdict.SENT),
        (0xB007, Verdict.SENT),
        (0x0111, Verdict.SENT),
        (0xA700, Verdict.RETRY),
        (0xA7FF, Verdict.RETRY),
        (0x0110, Verdict.RETRY),
        (0x0213, Verdict.RETRY),
        (0xA900, Verdict.REFUSED),
        (0xC000, Verdict.REFUSED),
        (0xCFFF, Verdict.REFUSED),
        (0x0122, Verdict.REFUSED),
        (0x0124, Verdict.REFUSED),
        (0xFE00, Verdict.REFUSED),
    ],
)
def test_known_statuses(status: int, verdict: Verdict):
    assert of_status(status)[0] is verdict


def test_every_status_has_a_verdict_and_all_but_success_a_reason():
    for status in range(0x10000):
        _, reason = of_status(status)
        assert bool(reason) is (status != 0)


def test_a_permanent_rejection_is_refused_and_says_what_to_correct():
    assert of_rejection(1, 1, 7) == (Verdict.REFUSED, of_rejection(1, 1, 7)[1])
    assert "ae_title" in of_rejection(1, 1, 7)[1]
    assert "calling_ae_title" in of_rejection(1, 1, 3)[1]


def test_a_transient_rejection_is_tried_again():
    assert of_rejection(2, 3, 2)[0] is Verdict.RETRY


def test_an_unknown_rejection_names_its_numbers():
    assert "source 9, reason 9" in of_rejection(1, 9, 9)[1]


def test_files_that_belong_together_are_as_good_as_the_worst(tmp_path):
    def of(verdict: Verdict) -> FileReport:
        return FileReport(path=tmp_path, verdict=verdict)

    assert overall([of(Verdict.SENT), of(Verdict.RETRY)]).verdict is Verdict.RETRY
    assert overall([of(Verdict.RETRY), of(Verdict.REFUSED), of(Verdict.SENT)]).verdict is Verdict.REFUSED
    assert overall([of(Verdict.SENT)]).verdict is Verdict.SENT
    with pytest.raises(ValueError, match="nothing was sent"):
        overall([])
