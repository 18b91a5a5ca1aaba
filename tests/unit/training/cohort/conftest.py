"""Patients without a head: all of an examination but the anatomy, made in no time."""

from collections.abc import Callable
from itertools import count

import numpy as np
import pytest

from training.cohort.acquire import acquisition_grid
from training.cohort.motion import STILL
from training.cohort.patient import Options, Patient
from training.cohort.protocol import Site, draw_protocol
from training.cohort.scene import Scene, scene_grid
from training.cohort.tissues import tissue_table
from training.cohort.vessels import Vessels
from worker.volume.geometry import Grid, Volume

BarePatient = Callable[..., Patient]


@pytest.fixture
def bare_patient() -> BarePatient:
    """Gives `make(site, vendor, number)`: the patient of the `number`-th seed whose scanner is that vendor's.

    Each series is one empty slice of a drawn protocol; the scene is empty too.
    """

    def make(site: Site, vendor: str = "SIEMENS", number: int = 0) -> Patient:
        drawn = ((seed, draw_protocol(site, np.random.default_rng([seed, number]))) for seed in count(1))
        seed, protocol = next((seed, p) for seed, p in drawn if p.vendor == vendor)
        rng = np.random.default_rng(seed)
        volumes = {}
        for series in protocol.series:
            grid = acquisition_grid(series.geometry, rng, 80.0)
            one = Grid(shape_zyx=(1, *grid.shape_zyx[1:]), affine=grid.affine)
            volumes[series.slot] = Volume(voxels=np.full(one.shape_zyx, 100, dtype=np.float32), grid=one)
        return Patient(
            seed=seed,
            protocol=protocol,
            volumes=volumes,
            poses=dict.fromkeys(volumes, STILL),
            reference=next(iter(volumes)),
            scene=_empty_scene(protocol.field_t),
            keep=None,
            options=Options(),
        )

    return make


def _empty_scene(field_t: float) -> Scene:
    grid = scene_grid()
    none, nowhere = np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.int64)
    return Scene(
        grid=grid,
        tissue=np.zeros(grid.shape_zyx, dtype=np.uint8),
        table=tissue_table(field_t),
        texture=np.zeros(grid.shape_zyx, dtype=np.float32),
        lesions=(),
        others=(),
        vessels=Vessels(index=nowhere, share=none, gd_share=none, flow=none, tissue=none.astype(np.uint8)),
        dura=nowhere,
        dura_share=none,
        sinus=nowhere,
        sinus_share=none,
        texture_strength=0.0,
        source="empty",
    )
