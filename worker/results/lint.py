"""The command `quartet lint FILE...`: judges result files by the viewers' rules.

Started as a process by the node's command line, which must not import the worker. Reads files, prints to stdout:
one line a finding. Exit status: 0 clean, 1 findings, 2 a file cannot be read.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from worker.results.viewer_rules import RULES, judge

EXAMPLE = """\
example:
  quartet lint outcome/seg.dcm outcome/sr.dcm --display series/POST_CUBE

  [SEG-REFERENCED-SERIES] SEG: no ReferencedSeriesSequence (OHIF: without it, ... the overlay is not shown)
  2 files, 1 finding, 0 notes
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    options = _parser().parse_args(arguments)
    if options.rules:
        _say("\n".join(f"{rule.id:24}{', '.join(rule.viewers)}: {rule.reason}" for rule in RULES))
        return 0
    if not options.files:
        _say("quartet lint: give the files to judge, or --rules; --help shows an example", sys.stderr)
        return 2
    try:
        datasets = [_read(path) for path in _files(options.files)]
        display = [_read(path, stop_before_pixels=True) for path in _files(options.display)]
    except _UnreadableError as error:
        _say(f"quartet lint: {error}", sys.stderr)
        return 2
    return _report(datasets, display, strict=options.strict)


def _report(datasets: Sequence[Dataset], display: Sequence[Dataset], *, strict: bool) -> int:
    findings = judge(datasets, display or None)
    for finding in findings:
        _say(f"{'' if finding.rule.must else 'note '}{finding}")
    held = sum(finding.rule.must for finding in findings)
    notes = len(findings) - held
    _say(f"{_count(len(datasets), 'file')}, {_count(held, 'finding')}, {_count(notes, 'note')}")
    return 1 if held or (strict and notes) else 0


class _UnreadableError(Exception):
    """A file cannot be judged; the text names it."""


def _read(path: Path, *, stop_before_pixels: bool = False) -> Dataset:
    try:
        return dcmread(path, stop_before_pixels=stop_before_pixels)
    except OSError as error:
        raise _UnreadableError(f"{path} cannot be read: {error.strerror or type(error).__name__}") from error
    except InvalidDicomError as error:
        raise _UnreadableError(f"{path} is no DICOM file") from error


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files given, and those in the folders given."""
    return [
        f for path in paths for f in (sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path])
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quartet lint",
        description="Judge SEG, SR and other result files by what real viewers need to show them.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="result files that belong together, or folders"
    )
    parser.add_argument(
        "--display",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="images (files or a folder) of the display series",
    )
    parser.add_argument("--strict", action="store_true", help="exit 1 on notes too")
    parser.add_argument("--rules", action="store_true", help="list all rules with their reasons")
    return parser


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _say(text: str, file: TextIO | None = None) -> None:
    (file or sys.stdout).write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
