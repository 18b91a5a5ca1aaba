"""Mattes mutual information of two images by SimpleITK: how it is set up, and what it means when it has no answer.

Used by register.py (rigid) and by training/head_template (affine), which add their samples and their optimiser.
The same on any number of cores: each thread adds up its part of a sum, so there is one. The metric does not heed what
its method is told of threads; so SimpleITK as a whole has one (it resamples a whole series in .2 s).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from worker.errors import NoOverlap
from worker.volume.geometry import Volume

_BINS = 32
_MISUSE = "sitk::ERROR"
"""Marks what SimpleITK itself refuses, such as images of two types. ITK's metric says "ITK ERROR" where it finds too
little to measure; both come as RuntimeError, and only the second may count as a bad match."""


@dataclass(frozen=True, kw_only=True)
class MutualInformation:
    """The metric between two images, and the method that follows it once an optimiser is set."""

    fixed: Any
    moving: Any
    method: Any

    @classmethod
    def within(cls, where: NDArray[np.bool_], fixed: Volume, moving: Volume) -> "MutualInformation":
        """The metric that looks at the voxels `where`, (Z, Y, X) on the grid of `fixed`."""
        still = fixed.to_sitk()
        region = sitk.GetImageFromArray(where.astype(np.uint8))
        region.CopyInformation(still)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(_BINS)
        method.SetMetricFixedMask(region)
        method.SetInterpolator(sitk.sitkLinear)
        return cls(fixed=still, moving=moving.to_sitk(), method=method)

    def value(self, transform: Any) -> float:
        """Negative mutual information in nats; infinite where the images do not overlap."""
        self.method.SetInitialTransform(transform, False)
        try:
            return float(self.method.MetricEvaluate(self.fixed, self.moving))
        except RuntimeError as error:
            if _MISUSE in str(error):
                raise
            return float("inf")

    def follow(self, transform: Any) -> float:
        """Move `transform` to the optimum nearby, and give the metric there. Raises `NoOverlap`."""
        self.method.SetInitialTransform(transform, True)
        try:
            self.method.Execute(self.fixed, self.moving)
        except RuntimeError as error:
            if _MISUSE in str(error):
                raise
            raise NoOverlap("the images do not overlap") from error
        return float(self.method.GetMetricValue())
