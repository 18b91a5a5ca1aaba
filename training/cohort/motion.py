"""The head moves between sequences: one rigid transform a series."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Float64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pose:
    """Rigid: a point of the head at `p` in the reference lies at `matrix @ p` in this series, LPS mm."""

    matrix: Float64
    """(4, 4)."""

    def inverse(self) -> "Pose":
        """From a point in this series to the point of the reference."""
        backwards: Float64 = np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)
        return Pose(matrix=backwards)

    def then(self, other: "Pose") -> "Pose":
        """First this, then the other."""
        return Pose(matrix=other.matrix @ self.matrix)


STILL = Pose(matrix=np.eye(4))


def random_pose(rng: np.random.Generator, rotation_deg: float, shift_mm: float) -> Pose:
    """A small motion about the brain's centre; the numbers are one sigma an axis."""
    matrix: Float64 = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rng.normal(0, rotation_deg, 3), degrees=True).as_matrix()
    matrix[:3, 3] = rng.normal(0, shift_mm, 3)
    return Pose(matrix=matrix)
