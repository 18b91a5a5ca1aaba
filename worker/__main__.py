"""`python -m worker --config quartet.toml`: the worker process. `quartet worker` and `quartet serve` start it."""

import argparse
import sys
from pathlib import Path

from worker import logs
from worker.errors import WorkerError
from worker.settings import load

_OURS = ("worker", "model", "dicom_node")


def main() -> int:
    """Parse, check, serve. Exit code 2 with one plain line where configuration, weights or device are unusable."""
    parser = argparse.ArgumentParser(
        prog="quartet worker",
        description="Take jobs from the broker and run them: registration, inference, SEG and SR.",
        epilog="example: quartet worker --config /etc/quartet/quartet.toml",
    )
    parser.add_argument(
        "--config", type=Path, required=True, help="quartet.toml; [worker], [storage], [broker] and [logs] are read"
    )
    parser.add_argument("--check", action="store_true", help="check configuration, weights and device, then exit")
    arguments = parser.parse_args()
    try:
        # Checking needs no broker: the embedded one runs only under `quartet serve`.
        environment = load(arguments.config, broker_url="redis://none" if arguments.check else None)
        logs.configure(environment.logs)
        from worker import tasks  # heavy: torch and friends only once the configuration holds

        if arguments.check:
            print("\n".join(tasks.check(environment)))  # noqa: T201
            return 0
        tasks.serve(environment)
    except WorkerError as error:
        return _unusable(str(error))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in _OURS:
            raise  # a fault of ours, not of the installation
        return _unusable(f"{error.name} is not installed here: pip install '.[worker]'")
    return 0


def _unusable(why: str) -> int:
    print(f"quartet worker: {why}", file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main())
