"""Import torchvision where its compiled operators cannot load: the one place that knows of this fault.

With a CPU build of torch and the registry's torchvision (built for CUDA) `import torchvision` raises "operator
torchvision::nms does not exist": its library needs CUDA, the failure is swallowed, and registering the shape rule of
`nms` then finds no operator. Its schemas are declared here before a second try. Models and torch.export then work;
`ops.nms` itself and the image codecs do not, and nothing here uses them. Where the import works nothing is done.
"""

import importlib
import sys
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []
"""Kept alive: the schemas go with their library."""


def segmentation_models() -> ModuleType:
    """`torchvision.models.segmentation`, imported one way or the other."""
    try:
        return importlib.import_module("torchvision.models.segmentation")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
    return importlib.import_module("torchvision.models.segmentation")
