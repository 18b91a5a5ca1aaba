"""Whether a patient stands in its folder already, so that a run that was broken off goes on.

Called by cache.py and write_nifti.py, which write the file that says so last.
"""

import json
from pathlib import Path

from training.cohort.anatomy import ONE_HEAD, anatomy_files
from training.cohort.patient import Options
from training.cohort.protocol import Site
from training.errors import TrainingError


def is_whole(about: Path, seed: int, site: Site, options: Options) -> bool:
    """Whether `about` (JSON with seed, site and source) is there.

    Raises `TrainingError` where it tells of another seed, site or anatomy: the folder is that patient's.
    """
    if not about.exists():
        return False
    heads = [path.name for path in anatomy_files(options.anatomy)] or [ONE_HEAD]
    try:
        told = json.loads(about.read_text())
        found = told.get("seed", seed), told.get("site", site), told.get("source", heads[0])
    except (OSError, ValueError, AttributeError) as error:
        raise TrainingError(f"{about} cannot be read ({error}): remove the folder") from error
    if found[:2] != (seed, str(site)) or found[2] not in heads:
        raise TrainingError(
            f"{about.parent} holds another patient (seed {found[0]}, site {found[1]}, head {found[2]}) than seed "
            f"{seed} of site {site} with this anatomy: give another --out, or remove it"
        )
    return True
