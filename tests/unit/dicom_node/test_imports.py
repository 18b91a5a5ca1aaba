"""The node runs where no model can: a fresh interpreter that imports all of it loads none of the worker's libraries."""

import json
import pkgutil
import subprocess
import sys

import dicom_node

FORBIDDEN = {"torch", "torchvision", "SimpleITK", "highdicom", "openvino", "worker", "model", "training"}


def _modules() -> list[str]:
    return sorted(
        module.name
        for module in pkgutil.walk_packages(dicom_node.__path__, "dicom_node.")
        if ".migrations" not in module.name
    )


def test_a_fresh_interpreter_imports_the_node_without_the_workers_libraries() -> None:
    program = (
        "import importlib, json, sys\n"
        f"for name in {_modules()!r}:\n    importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert FORBIDDEN.isdisjoint(json.loads(done.stdout.splitlines()[-1]))


def test_the_contract_needs_the_standard_library_only() -> None:
    program = (
        "import sys\nbefore = set(sys.modules)\n"
        "import dicom_node.contract.job_folder, dicom_node.contract.messages\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - set(sys.stdlib_module_names) == {"dicom_node"}
