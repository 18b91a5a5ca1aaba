"""Seconds, millimetres and judgement of the co-registration: `make bench-registration`.

On synthetic studies with known poses (training.cohort: sites A, B and randomised) and, where they lie beside the
repository, on real gliomas moved by known transforms. Target registration error: mean distance over the brain. The
peer is SimpleITK's Mattes registration as its documentation shows it, in the same run, on a part of the pairs. Seconds
are CPU seconds of one series. Then the gate (worker/volume/trust.py): good alignments that it rejects, bad ones that
it accepts, and what it measured on both sides.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.heads import shared_data
from support.registration_pairs import Pair, about, mirrored, moved, real_pairs, synthetic_pairs

from training.cohort.protocol import Site
from worker.align import SEED, aligned_to
from worker.volume import trust
from worker.volume.alignment import Alignment
from worker.volume.geometry import Float64, Volume
from worker.volume.register import register

GOOD_MM = 2.0
"""An alignment with less error than this should be accepted: a lesion of 10 mm3 is 2.7 mm wide."""
BAD_MM = 4.0
"""An alignment with more error than this should be rejected."""
GOAL_MM, GOAL_S = 1.0, 2.0
Row = dict[str, Any]


def pairs(patients: int, anatomy: Path | None, real: Path | None) -> Iterator[Pair]:
    """Randomised patients twice as often: they differ most. Every second patient has the anatomy of a real head."""
    for number, case in enumerate(sorted(real.iterdir()) if real else ()):
        for again in range(2):
            yield from real_pairs(case, 7 * number + again)
    for n in range(patients):
        for site, seed in (
            (Site.A, 101 + n),
            (Site.B, 201 + n),
            (Site.RANDOMISED, 301 + 2 * n),
            (Site.RANDOMISED, 302 + 2 * n),
        ):
            yield from synthetic_pairs(site, seed, anatomy if seed % 2 else None)


def timed(align: Callable[[Volume, Volume], Float64], pair: Pair) -> Row:
    start = time.process_time()
    transform = align(pair.fixed, pair.moving)
    return {"s": time.process_time() - start, "mm": pair.error_mm(transform), "transform": transform}


def ours(fixed: Volume, moving: Volume) -> Float64:
    return register(fixed, moving, seed=SEED).transform


def peer(fixed: Volume, moving: Volume) -> Float64:
    """SimpleITK's notebook 60, Introduction to Registration, word for word but for the seed and the single thread."""
    still, other = fixed.to_sitk(), moving.to_sitk()
    initial = sitk.CenteredTransformInitializer(
        still, other, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.01, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsGradientDescent(
        learningRate=1.0, numberOfIterations=100, convergenceMinimumValue=1e-6, convergenceWindowSize=10
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(shrinkFactors=[4, 2, 1])
    method.SetSmoothingSigmasPerLevel(smoothingSigmas=[2, 1, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(initial, inPlace=False)
    try:
        found = method.Execute(still, other)
    except RuntimeError:
        found = initial
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    places = np.array([found.TransformPoint(c) for c in corners])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = (places[1:] - places[0]).T, places[0]
    return matrix


def judged(pair: Pair, kind: str, transform: Float64) -> Row:
    """What the gate measures of one alignment, and what it says."""
    moved = {"translation_mm": 0.0, "rotation_degrees": 0.0}
    alignment = Alignment(transform=transform, quality=moved, seconds=0.0)
    found = trust.measure(pair.fixed, pair.moving, alignment)
    row = {"pair": pair.name, "group": pair.group, "kind": kind, "mm": pair.error_mm(transform), **asdict(found)}
    return {**row, "reason": trust.doubt(found)}


def misaligned(pair: Pair, rng: np.random.Generator) -> Iterator[tuple[str, Float64]]:
    """The true way, then a little more: one shift and one turn of a length that is drawn."""
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    shift, turn = float(rng.choice([4.0, 6.0, 10.0])), float(rng.choice([6.0, 10.0, 15.0]))
    yield f"shifted {shift:.0f} mm", about(pair.points_mm, (0, 0, 0), tuple(direction * shift)) @ pair.truth
    yield f"turned {turn:.0f} degrees", pair.truth @ about(pair.points_mm, tuple(direction * turn), (0, 0, 0))


def strangers(pair: Pair, other: Pair | None) -> Iterator[Row]:
    """What the node does with a series of another head, or a mirrored one: aligned as well as it goes, then judged."""
    heads = [("mirrored", mirrored(pair.moving))]
    heads += [("another head", other.moving)] if other is not None and other.fixed is not pair.fixed else []
    for kind, moving in heads:
        alignment, reason = aligned_to(pair.fixed, moving)
        found = trust.measure(pair.fixed, moving, alignment)
        yield {
            "pair": pair.name,
            "group": pair.group,
            "kind": kind,
            "mm": float("inf"),
            **asdict(found),
            "reason": reason,
        }


def run(every: Sequence[Pair] | Iterator[Pair], peer_every: int, console: Console) -> tuple[list[Row], list[Row]]:
    rows: list[Row] = []
    gate: list[Row] = []
    last: Pair | None = None
    for number, pair in enumerate(every):
        rng = np.random.default_rng(number)
        found = timed(ours, pair)
        row = {
            "pair": pair.name,
            "group": pair.group,
            "start": pair.error_mm(np.eye(4)),
            "s": found["s"],
            "mm": found["mm"],
            "places": moved(pair.points_mm, np.linalg.inv(pair.truth) @ found["transform"]) - pair.points_mm,
        }
        if number % peer_every == 0:
            other = timed(peer, pair)
            row |= {"peer_s": other["s"], "peer_mm": other["mm"]}
        rows.append(row)
        begun = time.process_time()
        gate.append(judged(pair, "registered", found["transform"]))
        row["check_s"] = time.process_time() - begun
        if gate[-1]["reason"]:
            again, _ = aligned_to(pair.fixed, pair.moving)
            gate.append(judged(pair, "registered thoroughly", again.transform))
        gate.extend(judged(pair, kind, way) for kind, way in misaligned(pair, rng))
        if number % 6 == 0:
            gate.extend(strangers(pair, last))
            last = pair
        console.print(f"{pair.name}: {row['mm']:.2f} mm, {row['s']:.1f} s", highlight=False)
    return rows, gate


def accuracy(rows: Sequence[Row]) -> Table:
    made = Table(title="Target registration error and CPU seconds of a series", title_justify="left")
    for heading in ("pairs", "number", "start mm", "median mm", "95 % mm", "largest mm", "under 1 mm", "s", "gate s"):
        made.add_column(heading, justify="left" if heading == "pairs" else "right")
    with_peer = [r for r in rows if "peer_mm" in r]
    groups = [(g, [r for r in rows if r["group"] == g], "") for g in dict.fromkeys(r["group"] for r in rows)]
    groups += [
        ("all", list(rows), ""),
        ("those of the peer, ours", with_peer, ""),
        ("those of the peer, peer", with_peer, "peer_"),
    ]
    for name, some, prefix in groups:
        if not some:
            continue
        mm, s = np.array([r[f"{prefix}mm"] for r in some]), np.array([r[f"{prefix}s"] for r in some])
        made.add_row(
            name, str(len(some)), f"{np.median([r['start'] for r in some]):.1f}", f"{np.median(mm):.2f}",
            f"{np.percentile(mm, 95):.2f}", f"{mm.max():.2f}", f"{(mm < GOAL_MM).mean():.0%}", f"{np.median(s):.1f}",
            "" if prefix else f"{np.median([r['check_s'] for r in some]):.1f}",
        )  # fmt: skip
    return made


def residuals(rows: Sequence[Row]) -> Table:
    """Real pairs carry the error of the data set's own co-registration: ways found apart that agree tell it."""
    made = Table(title="Real pairs, each registered after several moves", title_justify="left")
    for heading in ("pair", "moves", "mm from one another", "mm of their middle from the data set's co-registration"):
        made.add_column(heading)
    real = [r for r in rows if r["group"].startswith("real")]
    for name in dict.fromkeys(r["pair"].split(",")[0] for r in real):
        places = np.array([r["places"] for r in real if r["pair"].split(",")[0] == name])
        middle = places.mean(axis=0)
        apart = np.linalg.norm(places - middle, axis=2).mean()
        made.add_row(name, str(len(places)), f"{apart:.2f}", f"{np.linalg.norm(middle, axis=1).mean():.2f}")
    return made


def gate_table(gate: Sequence[Row]) -> Table:
    made = Table(title="The gate (worker/volume/trust.py): what it did", title_justify="left")
    for heading in ("alignment", "number", "should be", "accepted", "rejected", "reasons"):
        made.add_column(heading, justify="right" if heading in {"number", "accepted", "rejected"} else "left")
    for name, wanted, some in sides(gate):
        reasons: dict[str, int] = {}
        for r in some:
            if r["reason"]:
                reasons[_short(r["reason"])] = reasons.get(_short(r["reason"]), 0) + 1
        rejected = sum(bool(r["reason"]) for r in some)
        told = ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items(), key=lambda item: -item[1]))
        made.add_row(name, str(len(some)), wanted, str(len(some) - rejected), str(rejected), told)
    return made


def sides(gate: Sequence[Row]) -> list[tuple[str, str, list[Row]]]:
    final = [r for r in gate if r["kind"].startswith("registered")]
    retried = {r["pair"] for r in final if r["kind"] == "registered thoroughly"}
    last = [r for r in final if r["kind"] == "registered thoroughly" or r["pair"] not in retried]
    good = [r for r in last if r["mm"] < GOOD_MM]
    rows = [
        (f"registered, {g}", "accepted", [r for r in good if r["group"] == g])
        for g in dict.fromkeys(r["group"] for r in good)
    ]
    rows.append(
        (f"registered, {GOOD_MM:.0f}-{BAD_MM:.0f} mm off", "either", [r for r in last if GOOD_MM <= r["mm"] < BAD_MM])
    )
    rows.append((f"registered, {BAD_MM:.0f} mm off or more", "rejected", [r for r in last if r["mm"] >= BAD_MM]))
    others = [r for r in gate if not r["kind"].startswith("registered")]
    rows += [
        (kind, "rejected", [r for r in others if r["kind"] == kind]) for kind in sorted({r["kind"] for r in others})
    ]
    return [row for row in rows if row[2]]


def _short(reason: str) -> str:
    words = {
        "shows only": "coverage",
        "outlines": "overlap",
        "edges": "edges",
        "a half": "offset",
        "have turned": "turned",
    }
    return next((short for word, short in words.items() if word in reason), "moved")


def margins(gate: Sequence[Row]) -> Table:
    made = Table(title="What the gate measured: limits lie between both sides", title_justify="left")
    measures = ("coverage", "overlap", "edge_agreement", "offset_mm")
    for heading in ("alignment", *(name.replace("_", " ") for name in measures)):
        made.add_column(heading)
    for name, wanted, some in sides(gate):
        good = wanted == "accepted"
        cells = []
        for key in measures:
            values = np.array([r[key] for r in some])
            upper = (key == "offset_mm") == good
            cells.append(f"{'to' if upper else 'from'} {values.max() if upper else values.min():.2f}")
        made.add_row(name, *cells)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--patients", type=int, default=2, help="synthetic patients of sites A and B, and half the randomised ones"
    )
    parser.add_argument("--peer-every", type=int, default=6, help="the peer registers every so-manieth pair")
    parser.add_argument("--anatomy", type=Path, default=shared_data("anatomy"), help="label maps for half the patients")
    parser.add_argument("--real", type=Path, default=shared_data("real"), help="folder of BraTS cases")
    parser.add_argument("--rows", type=Path, help="write every measurement here as JSON")
    asked = parser.parse_args()
    console = Console(width=140)
    rows, gate = run(pairs(asked.patients, asked.anatomy, asked.real), asked.peer_every, console)
    for made in (accuracy(rows), residuals(rows), gate_table(gate), margins(gate)):
        console.print(made)
    if asked.rows:
        asked.rows.write_text(json.dumps({"rows": [{**r, "places": None} for r in rows], "gate": gate}, indent=1))
    table = sides(gate)
    mm, s = np.array([r["mm"] for r in rows]), np.array([r["s"] for r in rows])
    wrongly = sum(bool(r["reason"]) for _, wanted, some in table if wanted == "accepted" for r in some)
    slipped = sum(not r["reason"] for _, wanted, some in table if wanted == "rejected" for r in some)
    goals = {
        f"median error under {GOAL_MM:.0f} mm ({np.median(mm):.2f})": bool(np.median(mm) < GOAL_MM),
        f"error under {GOAL_MM:.0f} mm in 95 of 100 ({(mm < GOAL_MM).mean():.0%})": bool((mm < GOAL_MM).mean() >= 0.95),
        f"median CPU seconds a series under {GOAL_S:.0f} ({np.median(s):.1f})": bool(np.median(s) < GOAL_S),
        f"no good alignment rejected ({wrongly})": wrongly == 0,
        f"no bad alignment accepted ({slipped})": slipped == 0,
    }
    for goal, met in goals.items():
        console.print(f"{'met   ' if met else 'MISSED'} {goal}", markup=False, highlight=False)
    return 0 if all(goals.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
