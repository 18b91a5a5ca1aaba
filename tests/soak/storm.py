"""The rounds of the soak: each sends something and kills a part of the node at a random moment, all from one seed.

A sender behaves as a scanner does: what was not answered by 0x0000 is sent again until it is. What was answered so is
written into `acknowledged`, and the verdict holds the node to it.
"""

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.demo_pacs import Pacs
from support.node import Node
from support.studies import WrittenStudy, write_study

TARGETS = ("receive", "coordinate", "worker", "worker-child", "broker", "node")
"""`node` is all of it at once, as systemd leaves it when the main process dies."""
ANATOMIES = ("A", "B", "C", "D")
LATEST_KILL_S = 6.0
LONGEST_ABSENCE_S = 60.0
REFUSAL = 0xA700
"""Out of resources: a PACS that wants to be asked again."""


@dataclass
class Ledger:
    """What the senders know."""

    acknowledged: dict[str, bytes] = field(default_factory=dict)
    """SOP Instance UID -> the data set as it was sent."""
    studies: dict[str, WrittenStudy] = field(default_factory=dict)
    """By Study Instance UID."""
    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TARGETS, 0))
    sent_again: int = 0
    doubled: int = 0
    late: int = 0
    refusals: int = 0


@dataclass
class Storm:
    """Sends and kills. `folder` holds the studies while they are of use."""

    node: Node
    pacs: Pacs
    folder: Path
    seed: int
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._waiting: list[str] = []
        self._first_targets = self._random.sample(TARGETS, len(TARGETS))
        """Each part dies once before chance decides, so that a short soak has seen them all."""

    def round(self, number: int) -> str:
        """One round; gives what it did, for a line of the log."""
        target = self._first_targets.pop() if self._first_targets else self._random.choice(TARGETS)
        delay_s = self._random.uniform(0.0, LATEST_KILL_S)
        kind, study_uid, files = self._choose(number)
        if self._random.random() < 0.1:
            self.ledger.refusals += 1
            self.pacs.statuses.append(REFUSAL)
        killer = threading.Thread(target=self._kill_after, args=(target, delay_s))
        killer.start()
        self._deliver(files, self._random.randrange(1 << 30))
        killer.join()
        if kind == "new":
            self._waiting.append(study_uid)
        return f"round {number}: {kind}, {len(files)} objects; killed {target} after {delay_s:.1f} s"

    def _choose(self, number: int) -> tuple[str, str, Sequence[Path]]:
        """New study (60 %), a late series of a former one (20 %), or a former one once more (20 %)."""
        dice = self._random.random()
        if dice < 0.6 or not self._waiting:
            study = self._write(number, ("BRAVO",))
            return "new", study.study_uid, study.files
        study_uid = self._random.choice(self._waiting)
        former = self.ledger.studies[study_uid]
        if dice < 0.8 and "FLAIR" not in former.series:
            self.ledger.late += 1
            anatomy, name = former.series["BRAVO"][0].parts[-3].split("-")
            late = write_study(self.folder / f"{anatomy}-{name}", patient=anatomy, study=name, sequences=("FLAIR",))
            self.ledger.studies[study_uid] = WrittenStudy(study_uid=study_uid, series={**former.series, **late.series})
            return "late series", study_uid, late.files
        self.ledger.doubled += 1
        return "doubled", study_uid, former.files

    def _write(self, number: int, sequences: Sequence[str]) -> WrittenStudy:
        anatomy = ANATOMIES[number % len(ANATOMIES)]
        folder = self.folder / f"{anatomy}-{number}"
        study = write_study(folder, patient=anatomy, study=str(number), sequences=sequences)
        self.ledger.studies[study.study_uid] = study
        return study

    def _deliver(self, files: Sequence[Path], seed: int) -> None:
        """Send until each file was answered by 0x0000."""
        owed = list(files)
        random.Random(seed).shuffle(owed)
        deadline = time.monotonic() + 300
        while owed:
            statuses = self.node.send(owed)
            for path, status in zip(owed, statuses, strict=True):
                if status == 0:
                    uid, data = data_set(path)
                    self.ledger.acknowledged[uid] = data
            owed = [path for path, status in zip(owed, statuses, strict=True) if status != 0]
            if owed:
                self.ledger.sent_again += len(owed)
                if time.monotonic() > deadline:
                    raise AssertionError(f"the receiver took no objects for 300 s\n{self.node.log[-3000:]}")
                time.sleep(0.5)

    def _kill_after(self, target: str, delay_s: float) -> None:
        time.sleep(delay_s)
        if target == "node":
            self.node.kill()
            self.node.start(wait=False)
            self.ledger.kills[target] += 1
        elif (pid := self._find(target)) is not None:
            os.kill(pid, signal.SIGKILL)
            self.ledger.kills[target] += 1

    def _find(self, target: str) -> int | None:
        """The process of a part; waited for where it comes back from its last death just now."""
        deadline = time.monotonic() + LONGEST_ABSENCE_S
        while (pid := self.node.parts().get(target)) is None and time.monotonic() < deadline:
            time.sleep(0.2)
        return pid

    def tidy(self) -> None:
        """Remove the files that were sent; what they held stands in the ledger."""
        shutil.rmtree(self.folder, ignore_errors=True)


def data_set(path: Path) -> tuple[str, bytes]:
    """SOP Instance UID and the bytes after the file meta information of a DICOM file (PS3.10 7.1)."""
    content = path.read_bytes()
    end_of_meta = 144 + int.from_bytes(content[140:144], "little")
    meta = content[:end_of_meta]
    at = meta.index(b"\x02\x00\x03\x00UI") + 6
    length = int.from_bytes(meta[at : at + 2], "little")
    return meta[at + 2 : at + 2 + length].decode().rstrip("\0"), content[end_of_meta:]
