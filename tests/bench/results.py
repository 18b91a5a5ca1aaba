"""Seconds to write SEG and SR of four series of 176 slices with 8 lesions, lint included; highdicom's constructor too.

    python tests/bench/results.py [--rounds 5]

The aim of the project is under 2 s for both together on two cores. Prints medians.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.codedict import codes
from support.results import Planted, ResultStudy, result_study

from dicom_node.contract.messages import Product
from dicom_node.contract.slots import REFERENCE_ORDER
from worker.results.source_images import bare_images
from worker.results.write import write_results

LESIONS = [Planted((20 + 18 * n, 70 + 12 * n, 190 - 14 * n), 3.0 + n) for n in range(8)]
AIM_S = 2.0


def bare_segmentation(study: ResultStudy) -> None:
    """What highdicom needs for the same mask when nothing is written, stamped or checked."""
    Segmentation(
        source_images=bare_images(study.context.reference),
        pixel_array=study.context.lesion_map.mask.astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[
            SegmentDescription(
                segment_number=1,
                segment_label="lesions",
                segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
                segmented_property_type=codes.SCT.Neoplasm,
                algorithm_type="AUTOMATIC",
                algorithm_identification=hd.AlgorithmIdentificationSequence(
                    name="bench", version="1", family=codes.DCM.ArtificialIntelligence
                ),
            )
        ],
        series_instance_uid=hd.UID(),
        series_number=1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="bench",
        manufacturer_model_name="bench",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=False,
    )


def median_s(rounds: int, work: Callable[[], object]) -> float:
    """Median wall time; one round first that does not count."""
    seconds = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    study = result_study(shape_zyx=(176, 256, 256), lesions=LESIONS, slots=REFERENCE_ORDER)
    assert len(study.context.lesions) == len(LESIONS)
    with tempfile.TemporaryDirectory() as folder:
        both = median_s(rounds, lambda: write_results(Path(folder), study.context, (Product.SEG, Product.SR)))
        report = median_s(rounds, lambda: write_results(Path(folder), study.context, (Product.SR,)))
        sizes = {path.name: path.stat().st_size for path in sorted(Path(folder).iterdir())}
    bare = median_s(rounds, lambda: bare_segmentation(study))
    print(
        f"SEG + SR written, read back and linted: {both:.2f} s (aim: under {AIM_S:.0f} s); the SR alone {report:.2f} s"
    )
    print(f"highdicom's bare SEG constructor: {bare:.2f} s; ratio {both / bare:.1f}")
    print("bytes: " + ", ".join(f"{name} {size:,}" for name, size in sizes.items()))
    return 0 if both < AIM_S else 1


if __name__ == "__main__":
    sys.exit(main())
