"""What one training step sees: crops about lesions and elsewhere, from memory-mapped patients.

A batch follows from (seed, rank, step) alone: a resumed run sees what an uninterrupted one does, and so does each of
several processes. Called by training/train through torch's DataLoader. Intensities leave as medians of the deep brain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from model.channels import SEQUENCES, SIZE_PX, SLICES
from model.input_dropout import draw_subsets, drop_sequences
from training.augment import augment
from training.configuration import Configuration
from training.patients import Patient

MARGIN = 1.25
"""A crop is read this much larger, so that turning and scaling bring no empty corners."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One step: what the network reads and what it is to answer."""

    inputs: Tensor
    """(N, S * 5, H, W) float32, normalised, dropped and scaled."""
    target: Tensor
    """(N, 1, H, W) float32, 0 or 1."""


class Steps(Dataset[Batch]):
    """The batches of a run by step number."""

    def __init__(self, patients: Sequence[Patient], configuration: Configuration, rank: int = 0) -> None:
        self.patients = patients
        self.configuration = configuration
        self.rank = rank

    def __len__(self) -> int:
        return self.configuration.steps

    def __getitem__(self, step: int) -> Batch:
        configuration = self.configuration
        rng = np.random.default_rng([configuration.seed, self.rank, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        full = rng.random() < configuration.full_share
        size = SIZE_PX if full else configuration.crop_px
        count = max(1, round(configuration.batch * (configuration.crop_px / size) ** 2))
        read = SIZE_PX if full else 8 * round(size * MARGIN / 8)
        crops = [self._crop(rng, read) for _ in range(count)]
        ratio = torch.from_numpy(np.stack([crop.ratio for crop in crops]))
        target = torch.from_numpy(np.stack([crop.target for crop in crops]))
        brain = torch.from_numpy(np.stack([crop.brain for crop in crops]))
        ratio, target = augment(ratio, target, brain, configuration.augmentation, size, generator)
        available = torch.tensor([crop.available for crop in crops])
        return Batch(inputs=self._encode(ratio, available, generator), target=target)

    def _encode(self, ratio: Tensor, available: Tensor, generator: torch.Generator) -> Tensor:
        encoded = torch.from_numpy(self.configuration.normalisation.encode(ratio.numpy())).flatten(1, 2)
        present = draw_subsets(self.configuration.subset_law, available, generator)
        if self.configuration.subset_law != "none":
            encoded = drop_sequences(encoded, present)
        rows = [SEQUENCES.index(name) for name in self.configuration.sequences]
        chosen: Tensor = encoded.unflatten(1, (len(SEQUENCES), SLICES))[:, rows].flatten(1, 2)
        return chosen

    def _crop(self, rng: np.random.Generator, size: int) -> "_Crop":
        patient = self.patients[int(rng.integers(len(self.patients)))]
        about_lesion = bool(patient.lesions) and rng.random() < self.configuration.lesion_share
        return _cut(patient, _place(patient, rng, size, about_lesion), size)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Crop:
    ratio: NDArray[np.float32]
    """(4, 5, size, size) in medians."""
    target: NDArray[np.float32]
    """(1, size, size)"""
    brain: NDArray[np.float32]
    """(5, size, size); -1 throughout where not known."""
    available: tuple[bool, ...]


def _place(patient: Patient, rng: np.random.Generator, size: int, about_lesion: bool) -> tuple[int, int, int]:
    """The centre of a crop (z, y, x): near a lesion, or anywhere in the head."""
    if about_lesion:
        voxels = patient.lesions[int(rng.integers(len(patient.lesions)))]
        z, y, x = (int(v) for v in voxels[int(rng.integers(len(voxels)))])
        reach = size // 3
        return z, y + int(rng.integers(-reach, reach + 1)), x + int(rng.integers(-reach, reach + 1))
    z, y, x = (int(rng.integers(first, last + 1)) for first, last in patient.head_zyx)
    return z, y, x


def _cut(patient: Patient, centre_zyx: tuple[int, int, int], size: int) -> _Crop:
    z, y, x = centre_zyx
    first = (z - SLICES // 2, min(max(y - size // 2, 0), SIZE_PX - size), min(max(x - size // 2, 0), SIZE_PX - size))
    rows, columns = slice(first[1], first[1] + size), slice(first[2], first[2] + size)
    low, high = max(0, first[0]), min(patient.mask.shape[0], first[0] + SLICES)
    inside = slice(low - first[0], high - first[0])
    ratio = np.zeros((len(SEQUENCES), SLICES, size, size), dtype=np.float32)
    scale = np.array([1 / r for r in patient.references], dtype=np.float32)[:, None, None, None]
    ratio[:, inside] = patient.stack[:, low:high, rows, columns] * scale
    brain = np.full((SLICES, size, size), -1, dtype=np.float32)
    if patient.brain is not None:
        brain[:] = 0
        brain[inside] = patient.brain[low:high, rows, columns]
    target = (patient.mask[z, rows, columns] > 0).astype(np.float32)[None]
    return _Crop(ratio=ratio, target=target, brain=brain, available=patient.available)
