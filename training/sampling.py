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
from model.edge import EdgeRule, five_slices
from model.input_dropout import SubsetLaw, draw_subsets, kept_scale
from training.augment import augment
from training.configuration import Configuration
from training.errors import TrainingError
from training.patients import Patient

MARGIN = 1.25
"""A crop is read this much larger, where the slice is: turning and scaling then bring no empty corners."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One step: what the network reads and what it is to answer."""

    inputs: Tensor
    """(N, S * 5, H, W) float32, normalised, dropped and scaled."""
    target: Tensor
    """(N, 1, H, W) float32, 0 or 1."""


class Steps(Dataset[Batch]):
    """The batches of a run by step number. Raises `TrainingError` for a patient of whom the network reads nothing."""

    def __init__(self, patients: Sequence[Patient], configuration: Configuration, rank: int = 0) -> None:
        for patient in patients:
            _require_readable(patient, configuration)
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
        read = min(SIZE_PX, 8 * round(size * MARGIN / 8))
        crops = [self._crop(rng, read) for _ in range(count)]
        available = torch.tensor([crop.available for crop in crops])
        readable = available & torch.tensor(_read(configuration))
        present = draw_subsets(configuration.subset_law, readable, generator, self._keep_probability(step))
        owner, slot = present.nonzero(as_tuple=True)
        source = _misfiled(available, configuration.augmentation.misfiled, generator)[owner, slot]
        rows = zip(owner.tolist(), source.tolist(), strict=True)
        series = np.empty((len(owner), SLICES, read, read), dtype=np.float32)
        for out, (sample, sequence) in zip(series, rows, strict=True):
            crops[sample].ratio(sequence, out)
        changed, target = augment(
            torch.from_numpy(series),
            owner,
            torch.from_numpy(np.stack([crop.target for crop in crops])),
            torch.from_numpy(np.stack([crop.brain for crop in crops])),
            configuration.augmentation,
            size,
            generator,
        )
        return Batch(inputs=self._encode(changed, owner, slot, present), target=target)

    def _keep_probability(self, step: int) -> tuple[float, ...]:
        late = step >= self.configuration.steps // 2
        return (late and self.configuration.late_keep_probability) or self.configuration.keep_probability

    def _encode(self, series: Tensor, owner: Tensor, slot: Tensor, present: Tensor) -> Tensor:
        """(K, 5, H, W) in medians -> (N, S * 5, H, W): normalised, each in its place, scaled as input dropout does."""
        configuration = self.configuration
        place = {SEQUENCES.index(name): row for row, name in enumerate(configuration.sequences)}
        scale = kept_scale(present) if configuration.subset_law != SubsetLaw.NONE else torch.ones(len(present))
        stack = torch.zeros(len(present), len(place), *series.shape[1:])
        for one, sample, sequence in zip(series, owner.tolist(), slot.tolist(), strict=True):
            encoded = torch.from_numpy(configuration.normalisation.encode(one.numpy()))
            torch.mul(encoded, scale[sample], out=stack[sample, place[sequence]])
        return stack.flatten(1, 2)

    def _crop(self, rng: np.random.Generator, size: int) -> "_Crop":
        patient = self.patients[int(rng.integers(len(self.patients)))]
        about_lesion = bool(patient.lesions) and rng.random() < self.configuration.lesion_share
        return _cut(patient, _place(patient, rng, size, about_lesion), size, self.configuration.edge_rule)


def _read(configuration: Configuration) -> tuple[bool, ...]:
    """Which sequences the network reads, in the order of the channels."""
    return tuple(name in configuration.sequences for name in SEQUENCES)


def _require_readable(patient: Patient, configuration: Configuration) -> None:
    if not any(here and read for here, read in zip(patient.available, _read(configuration), strict=True)):
        raise TrainingError(
            f"{patient.name} holds none of {', '.join(configuration.sequences)}, which are read: remove this patient"
        )


def _misfiled(available: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """(N, 4) which sequence each slot is filled with: itself, or the two post-Gd ones of some samples exchanged.

    Sites call them as they like, and sets do not say.
    """
    source = torch.arange(len(SEQUENCES)).repeat(len(available), 1)
    pair = [SEQUENCES.index("BRAVO"), SEQUENCES.index("POST_CUBE")]
    swapped = (torch.rand(len(available), generator=generator) < probability) & available[:, pair].all(dim=1)
    source[swapped, pair[0]], source[swapped, pair[1]] = pair[1], pair[0]
    return source


@dataclass(frozen=True, kw_only=True, slots=True)
class _Crop:
    patient: Patient
    z: int
    rows: slice
    columns: slice
    edge_rule: EdgeRule
    target: NDArray[np.float32]
    """(1, size, size)"""
    brain: NDArray[np.float32]
    """(5, size, size); -1 throughout where not known."""

    @property
    def available(self) -> tuple[bool, ...]:
        return self.patient.available

    def ratio(self, sequence: int, out: NDArray[np.float32]) -> None:
        """Write one sequence in medians into `out` (5, size, size)."""
        column = self.patient.stack[sequence][:, self.rows, self.columns]
        np.multiply(
            five_slices(column, self.z, self.edge_rule), np.float32(1 / self.patient.references[sequence]), out=out
        )


def _place(patient: Patient, rng: np.random.Generator, size: int, about_lesion: bool) -> tuple[int, int, int]:
    """The centre of a crop (z, y, x): near a lesion, or anywhere in the head."""
    if about_lesion:
        voxels = patient.lesions[int(rng.integers(len(patient.lesions)))]
        z, y, x = (int(v) for v in voxels[int(rng.integers(len(voxels)))])
        reach = size // 3
        return z, y + int(rng.integers(-reach, reach + 1)), x + int(rng.integers(-reach, reach + 1))
    z, y, x = (int(rng.integers(first, last + 1)) for first, last in patient.head_zyx)
    return z, y, x


def _cut(patient: Patient, centre_zyx: tuple[int, int, int], size: int, edge_rule: EdgeRule) -> _Crop:
    z, y, x = centre_zyx
    rows, columns = (slice(first, first + size) for first in (_first(y, size), _first(x, size)))
    brain = np.full((SLICES, size, size), -1, dtype=np.float32)
    if patient.brain is not None:
        brain[:] = five_slices(patient.brain[:, rows, columns], z, edge_rule)
    target = (patient.mask[z, rows, columns] > 0).astype(np.float32)[None]
    return _Crop(patient=patient, z=z, rows=rows, columns=columns, edge_rule=edge_rule, target=target, brain=brain)


def _first(centre: int, size: int) -> int:
    """The first index of a crop about a centre that stays within the slice."""
    return min(max(centre - size // 2, 0), SIZE_PX - size)
