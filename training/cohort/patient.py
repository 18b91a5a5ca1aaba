"""A synthetic patient: what a scanner would have sent, and what a radiologist would have outlined.

`make_patient` gives native, unregistered volumes (for DICOM and the whole node); `make_model_grid_patient` gives them
co-registered on the model's grid by the worker's own resampling (for training). Both follow from one seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from dicom_node.contract.slots import REFERENCE_ORDER, SequenceSlot
from training.cohort.acquire import acquire, acquisition_grid, sample
from training.cohort.anatomy import anatomy_files
from training.cohort.deface import face_mask
from training.cohort.motion import STILL, Pose, random_pose
from training.cohort.protocol import Protocol, Site, draw_protocol
from training.cohort.scene import Scene, brain_mask, build_scene, paint
from training.cohort.tissues import BRAIN, Tissue
from training.cohort.truth import PlantedLesion, outline, planted
from training.errors import TrainingError
from worker.volume.geometry import Float32, Grid, Volume
from worker.volume.resample import model_grid, to_model_grid

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a caller may fix."""

    anatomy: Path | None = None
    """A folder of label maps; None: nilearn's head."""
    lesions: int | None = None
    """How many metastases to plant at most; None: as the cohort has them."""
    without: tuple[SequenceSlot, ...] = ()
    skull_stripping: bool = True
    """Whether the randomised mode may strip the skull."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Patient:
    """One examination."""

    seed: int
    protocol: Protocol
    volumes: Mapping[SequenceSlot, Volume]
    """Native grids, float32, in the scanner's frame: the head moves between series."""
    poses: Mapping[SequenceSlot, Pose]
    """Where the head lay in each series; STILL in the reference."""
    reference: SequenceSlot
    scene: Scene
    keep: Float32 | None
    """On the scene's grid: 1 what stripping or defacing leaves; None leaves all."""
    options: Options
    """What the caller fixed."""

    @property
    def lesions(self) -> tuple[PlantedLesion, ...]:
        """The metastases, with places in the reference's frame."""
        return planted(self.scene)

    @property
    def truth(self) -> UInt8:
        """(Z, Y, X) uint8 on the reference's native grid: 0, or the number of the lesion (1...)."""
        return outline(self.scene, self.volumes[self.reference].grid)


def make_patient(seed: int, site: Site, options: Options | None = None) -> Patient:
    """The patient of a seed; the same seed, site and options give the same voxels.

    Patients are the parallelism: linear algebra gets one thread, as its many small products only wait for one another.
    """
    with threadpool_limits(1):
        return _make(seed, site, options or Options())


def _make(seed: int, site: Site, options: Options) -> Patient:
    rng = np.random.default_rng([seed, list(Site).index(site)])
    protocol = draw_protocol(site, rng)
    series = {s.slot: s for s in protocol.series if s.slot not in options.without}
    if not series:
        raise TrainingError(f"no series is left of site {site}: leave out fewer")
    files = anatomy_files(options.anatomy)
    chosen = files[int(rng.integers(len(files)))] if files else None
    scene = build_scene(rng, site, protocol.field_t, chosen, options.lesions)
    reference = next(slot for slot in REFERENCE_ORDER if slot in series)
    top = _top_mm(scene)
    volumes, poses = {}, {}
    for slot in sorted(series, key=list(SequenceSlot).index):
        own = np.random.default_rng([seed, list(Site).index(site), list(SequenceSlot).index(slot), 7])
        poses[slot] = STILL if slot is reference else random_pose(own, protocol.motion_deg, protocol.motion_mm)
        painted = Volume(voxels=paint(scene, series[slot], own), grid=scene.grid)
        grid = acquisition_grid(series[slot].geometry, own, top)
        volumes[slot] = acquire(painted, series[slot].geometry, series[slot].quality, grid, poses[slot], own)
    keep = None
    if protocol.stripped and options.skull_stripping:
        keep = brain_mask(scene, rng)
    elif protocol.defaced:
        keep = face_mask(scene, rng)
    return Patient(
        seed=seed,
        protocol=protocol,
        volumes=volumes,
        poses=poses,
        reference=reference,
        scene=scene,
        keep=keep,
        options=options,
    )


def co_registered(patient: Patient, grid: Grid, residual: bool = True) -> dict[SequenceSlot, Volume]:
    """Every series on one grid in the reference's frame, by the worker's resampling, off by a residual."""
    keep = (
        None
        if patient.keep is None
        else sample(Volume(voxels=patient.keep, grid=patient.scene.grid), grid, STILL, nearest=True)
    )
    out = {}
    for slot, volume in patient.volumes.items():
        rng = np.random.default_rng([patient.seed, list(SequenceSlot).index(slot), 11])
        left = patient.protocol.residual_mm if residual and slot is not patient.reference else 0.0
        error = random_pose(rng, left * 0.4, left)
        moved = to_model_grid(volume, grid, error.then(patient.poses[slot]).matrix)
        out[slot] = moved if keep is None else Volume(voxels=moved.voxels * keep.voxels, grid=grid)
    return out


def make_model_grid_patient(
    seed: int, site: Site, options: Options | None = None
) -> tuple[Float32, UInt8, Grid, Patient]:
    """((4, Z, 256, 256) float32, (Z, 256, 256) uint8 mask, grid, patient), on the grid that the node would choose.

    Absent slots are zeros. Not normalised: model/normalise.py does that, for training and serving alike.
    """
    patient = make_patient(seed, site, options)
    native = patient.volumes[patient.reference]
    if patient.keep is not None:
        kept = sample(Volume(voxels=patient.keep, grid=patient.scene.grid), native.grid, STILL, nearest=True)
        native = Volume(voxels=native.voxels * kept.voxels, grid=native.grid)
    grid = model_grid(native)
    stacked = np.zeros((len(SequenceSlot), *grid.shape_zyx), dtype=np.float32)
    for slot, volume in co_registered(patient, grid).items():
        stacked[list(SequenceSlot).index(slot)] = volume.voxels
    truth = outline(patient.scene, grid)
    return stacked, (truth > 0).astype(np.uint8), grid, patient


def brain_on(patient: Patient, grid: Grid) -> UInt8:
    """(Z, Y, X) uint8 on a grid in the reference's frame: 1 the brain's tissue, ventricles included."""
    inside = np.isin(patient.scene.tissue, (*BRAIN, Tissue.VENTRICLE)).astype(np.float32)
    brain: UInt8 = sample(Volume(voxels=inside, grid=patient.scene.grid), grid, STILL, nearest=True).voxels.astype(
        np.uint8
    )
    return brain


def _top_mm(scene: Scene) -> float:
    """Height of the vertex of the brain, with scalp and skull above it."""
    slices = np.flatnonzero(np.isin(scene.tissue[:, ::4, ::4], BRAIN).any(axis=(1, 2)))
    return float(scene.grid.affine[2, 3] + slices.max() * scene.grid.spacing_mm_xyz[2] + 14)
