"""What readers of data sets raise on purpose.

CaseError(Exception)    a data set is not laid out as expected, or a file of it cannot be used
"""


class CaseError(Exception):
    """A data set is not laid out as expected; the text names the file or folder and what was looked for."""
