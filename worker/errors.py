"""The error tree of the worker.

    WorkerError                  anything the worker raises on purpose; `retryable`: can another attempt help
    ├── InputRefused             the input is not processable as it is: outcome REFUSED, with the reason
    │   └── SeriesRefused        one series is unusable: its slot is rejected, the others go on
    ├── NoOverlap                two images share too little to be compared; never leaves the registration
    └── WeightsError             the model's weights are missing, altered or of another form

Texts are plain sentences for a radiologist or an engineer, and hold no patient data.
"""


class WorkerError(Exception):
    """Base of the worker's errors."""

    retryable = False


class InputRefused(WorkerError):
    """The study cannot be processed as it is; the text is the reason that `quartet show` prints."""


class SeriesRefused(InputRefused):
    """One series cannot be used; the text is the reason that stands in SR and summary."""


class NoOverlap(WorkerError):
    """Two images share too little for a metric between them: the search tries elsewhere."""


class WeightsError(WorkerError):
    """The weights cannot be trusted or read; the text says what to do."""
