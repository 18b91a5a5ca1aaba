"""What training raises on purpose; everything else is a fault of ours, and keeps its trace.

    TrainingError(ValueError)    patients, split, configuration or options cannot be used; the text says what to do

Readers of data sets have a tree of their own: cases/errors.py.
"""


class TrainingError(ValueError):
    """What was given cannot be trained on; the text names it."""
