"""Logging is set up once for a process: a test that sets it up puts it back."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def log_state_kept() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
