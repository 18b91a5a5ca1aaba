"""Heads of every contrast pass the gates; phantoms, limbs, trunks, noise and stubs are refused with the reason."""

from collections.abc import Callable

import nibabel
import numpy as np
import pytest
from support.heads import CONTRASTS, GRID, axial_grid, rigid, shared_data, synthetic_head

from worker.errors import InputRefused
from worker.volume.geometry import Grid, Volume
from worker.volume.head import head_mask
from worker.volume.quality import require_brain
from worker.volume.resample import resample


def refusal(volume: Volume) -> str:
    with pytest.raises(InputRefused) as refused:
        require_brain(volume)
    return str(refused.value)


@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("skull", [True, False])
def test_heads_pass(contrast: str, skull: bool) -> None:
    require_brain(synthetic_head(contrast, seed=4, skull=skull))


@pytest.mark.parametrize("thick_mm", [4.0, 5.0, 6.5])
def test_thick_slices_pass(thick_mm: float) -> None:
    grid = axial_grid((round(190 / thick_mm), 240, 220), (thick_mm, 0.9, 0.9))
    require_brain(resample(synthetic_head("FLAIR", seed=5), grid))


@pytest.mark.parametrize("turned", [(20.0, 0.0, 0.0), (-25.0, 10.0, 0.0), (0.0, 0.0, 30.0)])
def test_tilted_heads_pass(turned: tuple[float, float, float]) -> None:
    require_brain(synthetic_head("BRAVO", seed=6, moved=rigid((5, -8, 4), turned)))


def test_a_head_whose_vertex_is_a_little_cut_passes() -> None:
    whole = synthetic_head("POST_CUBE", seed=7)
    top = int(np.argwhere(head_mask(whole))[:, 0].max())
    cut = Grid(shape_zyx=(top - 7, *GRID.shape_zyx[1:]), affine=GRID.affine)
    require_brain(Volume(voxels=whole.voxels[: top - 7], grid=cut))


def test_real_gliomas_without_skull_pass() -> None:
    folder = shared_data("real")
    if folder is None:
        pytest.skip("shared/data/real is not beside this repository")
    paths = [path for path in sorted(folder.glob("*/*.nii.gz")) if "_seg" not in path.name]
    assert paths
    for path in paths:
        image = nibabel.load(path)
        require_brain(Volume.from_ras(np.asarray(image.dataobj, dtype=np.float32), image.affine))


def body(inside: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray], noise: float = 0.02) -> Volume:
    """A uniform body with noise, 2 mm, by a predicate on LPS mm."""
    x, y, z = np.moveaxis(GRID.to_mm(np.stack(np.meshgrid(*map(np.arange, GRID.shape_zyx), indexing="ij"), -1)), -1, 0)
    rng = np.random.default_rng(0)
    signal = np.where(inside(x, y, z), 1000.0, 0.0)
    noisy = np.hypot(signal + rng.normal(0, 1000 * noise, x.shape), rng.normal(0, 1000 * noise, x.shape))
    return Volume(voxels=noisy.astype(np.float32), grid=GRID)


def long(volume: Volume, factor: float) -> Volume:
    """The same voxels with larger steps along the body."""
    affine = volume.grid.affine @ np.diag([1.0, 1.0, factor, 1.0])
    return Volume(voxels=volume.voxels, grid=Grid(shape_zyx=volume.grid.shape_zyx, affine=affine))


def noise() -> Volume:
    return Volume(voxels=np.random.default_rng(1).gamma(2.0, 50.0, GRID.shape_zyx).astype(np.float32), grid=GRID)


def with_nan() -> Volume:
    head = synthetic_head(seed=2)
    head.voxels[50, 50, 50] = np.nan
    return head


def offset(by: float, contrast: str = "POST_CUBE") -> Volume:
    """A head with its rescale intercept: 1000 is white matter."""
    head = synthetic_head(contrast, seed=2)
    return Volume(voxels=head.voxels + np.float32(by), grid=head.grid)


def padded(value: float, where: Callable[[np.ndarray], np.ndarray], *, skull: bool = True) -> Volume:
    """A head that holds `value` wherever a mask made of its voxels says so."""
    head = synthetic_head("POST_CUBE", seed=2, skull=skull)
    return Volume(voxels=np.where(where(head.voxels), np.float32(value), head.voxels), grid=head.grid)


def corner(voxels: np.ndarray) -> np.ndarray:
    mask = np.zeros(voxels.shape, dtype=bool)
    mask[:2, :3, :3] = True
    return mask


def outside_a_circle(voxels: np.ndarray) -> np.ndarray:
    y, x = np.ogrid[-1 : 1 : voxels.shape[1] * 1j, -1 : 1 : voxels.shape[2] * 1j]
    return np.broadcast_to(np.hypot(y, x) > 1, voxels.shape)


@pytest.mark.parametrize("value", [-1.0, -1024.0, -32768.0])
@pytest.mark.parametrize("where", [corner, outside_a_circle])
def test_padding_below_zero_in_the_air_passes(value: float, where: Callable[[np.ndarray], np.ndarray]) -> None:
    require_brain(padded(value, where))


@pytest.mark.parametrize("value", [-1.0, -1024.0, -32768.0])
def test_so_it_does_about_a_head_without_skull(value: float) -> None:
    require_brain(padded(value, lambda voxels: voxels == 0, skull=False))


@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("by", [-300.0, -600.0, -1024.0])
def test_a_head_below_zero_is_refused_in_every_contrast(contrast: str, by: float) -> None:
    assert "not a magnitude image, or its rescale intercept is wrong" in refusal(offset(by, contrast))


def offset_and_padded() -> Volume:
    head = offset(-600.0)
    return Volume(voxels=np.where(corner(head.voxels), np.float32(-32768), head.voxels), grid=head.grid)


def slab(slices: int, step_mm: float) -> Volume:
    return synthetic_head(seed=2, grid=axial_grid((slices, 112, 96), (step_mm, 2.0, 2.0)))


REFUSED: dict[str, tuple[Callable[[], Volume], str]] = {
    "noise": (noise, "the volume is noise"),
    "one value": (lambda: Volume(voxels=np.full((40, 40, 40), 3, np.float32), grid=axial_grid((40, 40, 40), (4, 4, 4))),
                  "all voxels of the volume have the same value"),
    "no numbers": (with_nan, "voxels that are no numbers"),
    "an intercept": (lambda: offset(-600.0), "values below zero in"),
    "an intercept and padding": (offset_and_padded, "values below zero in"),
    "a large intercept": (lambda: offset(-32768.0), "no values above zero: not a magnitude image"),
    "three slices": (lambda: slab(3, 30.0), "has only 3 slices, 10 are needed"),
    "a thin slab": (lambda: slab(25, 2.0), "covers only 50 mm, a brain needs 70 mm"),
    "a ball": (lambda: body(lambda x, y, z: x**2 + y**2 + z**2 < 85**2), "uniform, as a phantom's"),
    "an upright bottle": (lambda: body(lambda x, y, z: (x**2 + y**2 < 70**2) & (abs(z) < 80)), "no brain"),
    "a lying bottle": (lambda: body(lambda x, y, z: (x**2 + z**2 < 70**2) & (abs(y) < 80)), "no brain"),
    "a limb": (lambda: body(lambda x, y, z: (x**2 + y**2 < 60**2)), "does not close at the top"),
    "two limbs": (lambda: body(lambda x, y, z: (abs(x) - 45) ** 2 + y**2 < 40**2), "no brain"),
    "a trunk": (lambda: long(body(lambda x, y, z: (x / 90) ** 2 + (y / 100) ** 2 < 1), 2.0), "mm long"),
    "an orange": (lambda: body(lambda x, y, z: x**2 + y**2 + z**2 < 33**2), "mm wide"),
    "an empty bore": (lambda: body(lambda x, y, z: x > 1e6), "no brain|noise"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_brain_is_refused_with_the_reason(name: str) -> None:
    make, reason = REFUSED[name]
    told = refusal(make())
    assert any(part in told for part in reason.split("|")), told
