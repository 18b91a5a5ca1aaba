"""The lesions on disk beside the results, for the job that may supersede this one.

Called by the pipeline: `save` into the attempt folder, `load` from the predecessor's outcome folder. The file is a
format of our own between two runs of the worker: numpy arrays, no pickle, no patient data; equal lesions, equal bytes.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from worker.errors import WorkerError
from worker.lesions.components import LesionMap
from worker.lesions.tracking import LesionRecord, Track
from worker.volume.geometry import Grid

FILE_NAME = "lesions.npz"
FORMAT = 1


def save(folder: Path, record: LesionRecord) -> Path:
    """Write `lesions.npz` into `folder` and give its path."""
    about = {
        "format": FORMAT,
        "frame_of_reference_uid": record.frame_of_reference_uid,
        "names_given": record.names_given,
        "tracks": [[track.uid, track.id] for track in record.tracks],
    }
    path = folder / FILE_NAME
    np.savez_compressed(
        path,
        labels=record.lesions.labels,
        affine=record.lesions.grid.affine,
        about=np.frombuffer(json.dumps(about, sort_keys=True).encode(), dtype=np.uint8),
    )
    return path


def load(folder: Path) -> LesionRecord:
    """Read `lesions.npz` of an outcome folder. Raises `WorkerError` where it is missing, damaged or of another form."""
    try:
        with np.load(io.BytesIO((folder / FILE_NAME).read_bytes()), allow_pickle=False) as file:
            labels, affine = file["labels"], file["affine"]
            about = json.loads(file["about"].tobytes())
        if about["format"] != FORMAT:
            raise WorkerError(
                f"{FILE_NAME} of the predecessor has format {about['format']}, this release reads {FORMAT}"
            )
        tracks = tuple(Track(uid=uid, id=name) for uid, name in about["tracks"])
        z, y, x = labels.shape
        grid = Grid(shape_zyx=(z, y, x), affine=affine)
        return LesionRecord(
            lesions=LesionMap(labels=labels.astype(np.uint16), grid=grid, count=len(tracks)),
            tracks=tracks,
            names_given=int(about["names_given"]),
            frame_of_reference_uid=str(about["frame_of_reference_uid"]),
        )
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise WorkerError(f"{FILE_NAME} of the predecessor cannot be read: {type(error).__name__}") from error
