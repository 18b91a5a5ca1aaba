"""How a network is run: OpenVINO on a CPU, torch on a GPU, one call each.

On two cores OpenVINO ran our network 1.8 times as fast as eager torch and equal within 4e-6 (`make bench-inference`).
It is converted in memory from the traced network, through the frontend itself: `openvino.convert_model` would report
its use to its makers, and so would a plain import of the package; the reporting package is barred before the import.
Where OpenVINO is not installed or cannot take a network, eager torch runs it and the log says so.
Called by worker/inference/predict.
"""

import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Float32 = NDArray[np.float32]
Engine = Callable[[Float32], Float32]
"""(B, C, H, W) -> (B, 1, H, W) probability; B is the engine's batch."""

Shape = tuple[int, int, int | None, int | None]
"""B, C, H, W of what an engine reads; None: of any size."""

CPU_BATCH = 4
CUDA_BATCH = 16
_EXAMPLE_PX = 128
"""Side of what a network is traced with that is to read any size."""
LOG = logging.getLogger(__name__)


def make_engine(network: nn.Module, *, device: torch.device, shape: Shape, threads: int) -> Engine:
    """An engine for inputs of this shape; `threads` 0 leaves their number to the library."""
    served = nn.Sequential(network, nn.Sigmoid()).eval().to(device)
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # 10 bits of mantissa would move probabilities beyond 1e-4
        return _eager(served, device)
    try:
        return openvino_engine(served, shape, threads)
    except (ImportError, RuntimeError) as error:
        LOG.warning("OpenVINO cannot run the network, torch does", extra={"action": "engine", "why": str(error)[:200]})
        if threads:
            torch.set_num_threads(threads)
        return _eager(served, device)


def openvino_engine(served: nn.Module, shape: Shape, threads: int) -> Engine:
    """Convert and compile a module (B, C, H, W) -> (B, 1, H, W) in float32. Raises ImportError or RuntimeError."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.zeros([_EXAMPLE_PX if side is None else side for side in shape])
    with torch.no_grad(), warnings.catch_warnings():
        # torch would rather export; the frontend reads traces quicker, and ours has no branches that a trace could lose
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(served, example, check_trace=False)
    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # a name of its own: the conversion reads it without keeping it
    graph: Any = frontend.convert(frontend.load(decoder))
    graph.reshape([-1 if side is None else side for side in shape])
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino.Core().compile_model(graph, "CPU", options)

    def run(batch: Float32) -> Float32:
        result: Float32 = np.array(compiled([batch])[0])
        return result

    return run


def _eager(served: nn.Module, device: torch.device) -> Engine:
    served.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(batch: Float32) -> Float32:
        with torch.inference_mode():
            tensor = torch.from_numpy(batch).to(device, memory_format=torch.channels_last)
            result: Float32 = served(tensor).float().cpu().numpy()
        return result

    return run
