"""What the weights of this release answer, number by number: an edit of network or normalisation must not pass unseen.

The digest in every result names weights and card; the code that runs them is held here. Where the weights were
replaced, or another answer is meant, write golden.json anew and say so in CHANGELOG.md:

    .venv/bin/python tests/unit/worker/inference/test_golden.py
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from model.checkpoint import WEIGHTS_FILE
from model.subsets import Present, subset_name
from worker.inference.predict import Predictor, default_weights

FILE = Path(__file__).with_name("golden.json")
ANEW = f".venv/bin/python tests/unit/worker/inference/{Path(__file__).name}"
SUBSETS: tuple[Present, ...] = ((True, True, True, True), (True, False, False, False), (False, False, False, True))
TOLERANCE = 1e-3
"""Of a probability and of the sum of all; engines and processors differ by 1e-5 and 1e-4."""
UNSURE = 9
"""So many voxels of each subset are kept from between .05 and .95, evenly by their probability; and three sure ones."""

Z, Y, X = np.meshgrid(np.arange(7.0), np.arange(256.0) - 128, np.arange(256.0) - 128, indexing="ij")
CONTRAST = {
    "BRAVO": (300, 260, 0.8, 1.0),
    "PRE_CUBE": (500, 700, -0.15, 0.95),
    "POST_CUBE": (480, 650, 0.9, 1.0),
    "FLAIR": (350, 250, 0.2, 1.25),
}
"""Brain, scalp; what a lesion has more than brain, as a share of it; the ring about it over brain."""
LESIONS = ((3, -30, -25, 3), (3, 10, 30, 5), (2, 45, -10, 8), (4, -50, 20, 2.5), (4, 20, -40, 6), (3, 60, 25, 4))
"""z in slices, y and x in px from the middle, radius in px; each enhances more than the one before."""


def head() -> np.ndarray:
    """(4, 7, 256, 256) float32: slices of a head with lesions. No random numbers: the same whatever numpy's release.

    The brain is brighter inside and upwards, so that another core of the head has another median.
    """
    stack = np.stack([sequence(*numbers) for numbers in CONTRAST.values()])
    stack[:, np.hypot(Y, X) > 126] = 0
    return stack.astype(np.float32)


def sequence(brain: float, scalp: float, enhancement: float, ring: float) -> np.ndarray:
    radius = np.hypot(Y / 95, X / 75)
    image = np.where((radius > 0.95) & (radius < 1.05), scalp, 8.0)
    image = np.where(radius < 0.88, brain * (1 - 0.25 * radius**2) * (1 + 0.02 * Z), image)
    image[np.hypot(X - 3, Y) < 6] *= 0.4
    for number, (z, y, x, size) in enumerate(LESIONS):
        away = np.sqrt((Z - z) ** 2 + (Y - y) ** 2 + (X - x) ** 2)
        image[away < size + 3] *= ring
        image[away < size] = brain * (1 + enhancement * (0.15 + 0.2 * number))
    coarse = 0.06 * np.sin(X / 3.1 + Y / 4.7 + Z) * np.sin(Y / 2.9 - X / 5.3)
    return image * (1 + coarse + 0.04 * np.sin(X * 1.7 + Y * 2.3 + Z * 1.1))


def digest() -> str:
    return hashlib.sha256((default_weights() / WEIGHTS_FILE).read_bytes()).hexdigest()


def answers() -> dict[str, np.ndarray]:
    predictor = Predictor(default_weights(), device="cpu", threads=1)
    stack = head()
    return {subset_name(present): predictor.predict(stack, present) for present in SUBSETS}


@pytest.fixture(scope="module")
def answered() -> dict[str, np.ndarray]:
    return answers()


@pytest.fixture(scope="module")
def golden() -> dict:
    stored = json.loads(FILE.read_text())
    if stored["weights_sha256"] != digest():
        pytest.fail(f"{FILE.name} is of other weights than model/weights: write it anew with `{ANEW}`")
    return stored["answers"]


@pytest.mark.parametrize("present", SUBSETS, ids=subset_name)
def test_the_weights_of_this_release_answer_as_they_did(golden, answered, present):
    stored, probability = golden[subset_name(present)], answered[subset_name(present)]
    assert len(stored["voxels"]) == UNSURE + 3
    now = {place: float(probability[*map(int, place.split())]) for place in stored["voxels"]}
    assert now == pytest.approx(stored["voxels"], abs=TOLERANCE), f"if another answer is meant: `{ANEW}`"
    assert probability.sum(dtype=np.float64) == pytest.approx(stored["sum"], abs=TOLERANCE)


def chosen(probability: np.ndarray) -> dict[str, float]:
    """z y x -> probability of the surest voxels, the middle one, and some of the unsure."""
    order = np.argsort(probability, axis=None, kind="stable")
    ranked = probability.ravel()[order]
    unsure = np.flatnonzero((ranked > 0.05) & (ranked < 0.95))
    if len(unsure) < UNSURE or ranked[-1] < 0.95:
        raise SystemExit("these weights find too little in the stack to be held by it: change LESIONS or CONTRAST")
    some = unsure[np.linspace(0, len(unsure) - 1, UNSURE).astype(int)]
    places = [np.unravel_index(order[rank], probability.shape) for rank in (0, len(order) // 2, *some, -1)]
    return {f"{z} {y} {x}": round(float(probability[z, y, x]), 5) for z, y, x in places}


def write() -> None:
    """Write golden.json of the weights and the code as they are."""
    kept = {
        name: {"sum": round(float(probability.sum(dtype=np.float64)), 4), "voxels": chosen(probability)}
        for name, probability in answers().items()
    }
    FILE.write_text(json.dumps({"weights_sha256": digest(), "answers": kept}, indent=1) + "\n")


if __name__ == "__main__":
    write()
