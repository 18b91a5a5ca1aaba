"""One node, Debian's senders and receiver around it: whole studies, odd studies, late series, a PACS that is away.

The node is started once; each test has a patient of its own. Every patient is named ZZCANARY, and the last test looks
for that name wherever it must not be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import redis
from pydicom import Dataset, dcmread
from support.dcmtk import ForeignPacs, dcmsend, foreign_pacs, storescu
from support.dicom_objects import mr_series, write
from support.foreign_tools import dciodvfy, read_segments
from support.node import Node, running_node
from support.studies import BALLS_MM, SPACING_MM_ZYX, WrittenStudy, shuffled, write_study

pytestmark = pytest.mark.timeout(400)  # seconds on a quiet machine
CANARY = "ZZCANARY"


@dataclass
class House:
    """The node, the PACS it sends to, and the CLI's words so far."""

    node: Node
    pacs: ForeignPacs
    folder: Path
    said: list[str]

    def study(self, patient: str, *sequences: str) -> WrittenStudy:
        name = f"{CANARY}^{patient}"
        return write_study(self.folder / patient, patient=patient, sequences=sequences, patient_name=name)

    def show(self, study: str) -> str:
        """What `quartet show` prints, in one line: tables and wide terminals apart."""
        done = self.node.quartet("show", study)
        self.said.append(done.stdout + done.stderr)
        return " ".join(done.stdout.split())

    def results(self, study_uid: str) -> list[Path]:
        """What the PACS has of a study, in the order of arrival."""
        found = []
        for path in self.pacs.received():
            try:
                whole = dcmread(path, stop_before_pixels=True)
            except (OSError, ValueError, EOFError):  # storescp is writing it
                continue
            if whole.get("StudyInstanceUID") == study_uid:
                found.append(path)
        return found

    def wait_for_results(self, study_uid: str, count: int) -> list[Path]:
        self.node.wait_until(lambda: len(self.results(study_uid)) >= count)
        return self.results(study_uid)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with (
        foreign_pacs(folder / "pacs") as pacs,
        running_node(folder / "node", destinations={"FOREIGN": pacs.port}) as node,
    ):
        yield House(node=node, pacs=pacs, folder=folder, said=[])


def kind(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).Modality)


def test_a_study_by_dcmsend_comes_back_as_seg_and_sr_that_others_can_read(house: House, tmp_path: Path) -> None:
    study = house.study("first", "BRAVO", "FLAIR")
    sent = dcmsend(house.node.port, shuffled(study.files, 1))
    assert sent.returncode == 0, sent.stderr
    results = {kind(path): path for path in house.wait_for_results(study.study_uid, 2)}
    assert set(results) == {"SEG", "SR"}
    for path in results.values():
        assert [line for line in dciodvfy(path) if line.startswith("Error")] == []
    found = centroids(results["SEG"], tmp_path)
    for ball in BALLS_MM:
        nearest = found[np.argmin(np.linalg.norm(found - np.array(ball), axis=1))]
        assert np.all(np.abs(nearest - np.array(ball)) <= np.array(SPACING_MM_ZYX[::-1]))


def centroids(seg: Path, folder: Path) -> np.ndarray:
    """(N, 3) LPS mm of the connected parts of the mask, as dcmqi reads it."""
    import scipy.ndimage as ndi

    (mask,) = read_segments(seg, folder)
    labels, count = ndi.label(mask.voxels > 0)
    assert count == len(BALLS_MM)
    indices = np.array(ndi.center_of_mass(labels > 0, labels, range(1, count + 1)))
    placed: np.ndarray = mask.grid.to_mm(indices)
    return placed


def test_the_same_study_twice_sends_nothing_new_and_a_late_series_supersedes(house: House) -> None:
    study = house.study("second", "BRAVO")
    assert storescu(house.node.port, study.files).returncode == 0
    first = house.wait_for_results(study.study_uid, 2)
    assert storescu(house.node.port, shuffled(study.files, 2)).returncode == 0
    late = house.study("second", "FLAIR")
    assert storescu(house.node.port, late.files).returncode == 0
    results = house.wait_for_results(study.study_uid, 4)
    assert results[:2] == first
    assert sorted(kind(path) for path in results[2:]) == ["SEG", "SR"]
    before, after = ({kind(path): dcmread(path) for path in pair} for pair in (results[:2], results[2:]))
    assert tracking_uids(before["SR"]) == tracking_uids(after["SR"])
    assert str(before["SR"].SOPInstanceUID) in str(after["SR"])
    text = house.show(study.study_uid)
    assert "supersedes job" in text
    assert text.count("delivered") == 2
    assert len(house.results(study.study_uid)) == 4


def tracking_uids(report: Dataset) -> set[str]:
    """Values of the items "Tracking Unique Identifier" (112040, DCM) anywhere in a report (TID 1411)."""
    found: set[str] = set()

    def look(item: Dataset) -> None:
        if "UID" in item and item.ConceptNameCodeSequence[0].CodeValue == "112040":
            found.add(str(item.UID))
        for child in item.get("ContentSequence", ()):
            look(child)

    look(report)
    assert len(found) == len(BALLS_MM)
    return found


def test_three_slices_are_not_processed_and_the_reason_stands_in_show(house: House) -> None:
    made = mr_series("BRAVO", patient_id="three", patient_name=CANARY, shape_zyx=(3, 64, 64))
    assert storescu(house.node.port, write(made, house.folder / "three")).returncode == 0
    assert_not_processed(house, made[0].StudyInstanceUID, "slices")


def test_what_is_no_brain_is_not_processed_and_the_reason_stands_in_show(house: House) -> None:
    noise = np.random.default_rng(5).integers(0, 1000, (24, 64, 56))
    made = mr_series("BRAVO", patient_id="noise", patient_name=CANARY, voxels=noise, spacing_mm_zyx=SPACING_MM_ZYX)
    assert storescu(house.node.port, write(made, house.folder / "noise")).returncode == 0
    assert_not_processed(house, made[0].StudyInstanceUID, "noise")


def test_a_study_without_a_usable_series_is_not_processed_and_no_report_is_sent(house: House) -> None:
    localizer = {
        "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SeriesDescription": "3 plane loc",
        "MRAcquisitionType": "2D", "InversionTime": None, "ScanningSequence": "GR",
    }  # fmt: skip
    made = mr_series("BRAVO", patient_id="loc", patient_name=CANARY, shape_zyx=(9, 64, 64), headers=localizer)
    assert storescu(house.node.port, write(made, house.folder / "loc")).returncode == 0
    assert_not_processed(house, made[0].StudyInstanceUID, "localizer")


def assert_not_processed(house: House, study_uid: str, reason: str) -> None:
    """The state and a reason with this word; the PACS got nothing."""
    house.node.wait_until(lambda: ended(house.show(study_uid)), every_s=1.0)
    text = house.show(study_uid)
    assert "not processed" in text
    assert reason in text
    assert house.results(study_uid) == []


def ended(text: str) -> bool:
    return any(f": {state}" in text for state in ("not processed", "done", "failed", "delivering"))


def test_results_wait_for_a_pacs_that_is_away_and_arrive_later(house: House) -> None:
    house.pacs.stop()
    try:
        study = house.study("away", "BRAVO")
        assert dcmsend(house.node.port, study.files).returncode == 0
        house.node.wait_until(lambda: "next try" in house.show(study.study_uid), every_s=1.0)
        text = house.show(study.study_uid)
        assert f"port {house.pacs.port} refuses the connection: nothing listens there" in text
    finally:
        house.pacs.start()
    results = house.wait_for_results(study.study_uid, 2)
    assert sorted(kind(path) for path in results) == ["SEG", "SR"]


def test_no_patient_name_in_logs_broker_or_output(house: House) -> None:
    house.said.append(house.node.quartet("studies").stdout)
    assert CANARY in str(dcmread(house.pacs.received()[0]).PatientName)
    assert CANARY not in house.node.log
    assert CANARY not in "".join(house.said)
    broker = redis.Redis(port=broker_port(house.node))
    try:
        keys = broker.keys("*")
        held = b"".join(broker.dump(key) or b"" for key in keys) + b"".join(keys)
    finally:
        broker.close()
    assert CANARY.encode() not in held


def broker_port(node: Node) -> int:
    """Of the embedded broker, as `quartet serve` told its parts."""
    environment = Path(f"/proc/{node.parts()['worker']}/environ").read_bytes().decode().split("\0")
    url = next(word for word in environment if word.startswith("QUARTET_BROKER_URL="))
    return int(url.rsplit(":", 1)[1].split("/")[0])
