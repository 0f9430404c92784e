"""
Writing a report down, row by row, in flat memory. Whatever the format, the contents are hashed as CSV, so that equal
contents have equal hashes.
"""

import csv
import hashlib
import io
from collections.abc import Callable
from typing import Any, Protocol

from flint.money import exponent
from flint.reports.models import Format
from flint.reports.registry import ROWS, Column, ReportType, Row, Scope, Tally, Totals
from flint.reports.writing.figures import major
from flint.reports.writing.lines import CsvFile
from flint.reports.writing.plaintext import BeancountFile
from flint.reports.writing.sheets import XlsxFile

BATCH = 2_000
"""How many rows are rendered, hashed and written at a time."""

CONTENT_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.BEANCOUNT: "text/plain; charset=utf-8",
}

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute, were it not marked as text."""


class Sink(Protocol):
    """Takes what is written, in order."""

    def write(self, content: bytes) -> None: ...


class File(Protocol):
    """A file being written: a batch of rows, with each row's cells as text, and an end."""

    def add(self, rows: list[Row], cells: list[list[str]], lines: bytes) -> None: ...

    def end(self, about: dict[str, str]) -> None: ...


FILES: dict[str, Callable[[ReportType, Scope, Sink], File]] = {
    Format.CSV: CsvFile,
    Format.XLSX: XlsxFile,
    Format.BEANCOUNT: BeancountFile,
}


class Writer:
    """Writes one report to a sink. Feed it rows, then :meth:`end` it with what it turned out to hold."""

    def __init__(self, report_type: ReportType, scope: Scope, format: str, sink: Sink):
        self.report_type, self.scope = report_type, scope
        self.tally = Tally(report_type)
        self._file = FILES[format](report_type, scope, sink)
        self._cells = [_cell_of(column, scope) for column in report_type.columns]
        self._hash = hashlib.sha256()
        self._batch: list[Row] = []
        head = [column.name for column in report_type.columns]
        self._put([], [head])

    def add(self, row: Row) -> None:
        """Take one row."""
        self.tally.add(row)
        self._batch.append(row)
        if len(self._batch) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._batch:
            cells = self._cells
            self._put(
                self._batch,
                [[render(value) for render, value in zip(cells, row, strict=True)] for row in self._batch],
            )
            self._batch = []

    @property
    def content_sha256(self) -> str:
        """The hash of the head and of all rows so far, as CSV."""
        self.flush()
        return self._hash.hexdigest()

    def end(self) -> str:
        """Finish the file with what it says of itself. Return the hash of its contents."""
        digest = self.content_sha256
        self._file.end(
            {
                "report": self.report_type.name,
                **self.scope.about,
                **shown(self.tally.totals, self.scope.currency),
                "sha256": digest,
            }
        )
        return digest

    def _put(self, rows: list[Row], cells: list[list[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows(cells)
        lines = text.getvalue().encode()
        self._hash.update(lines)
        self._file.add(rows, cells, lines)


def shown(totals: Totals, currency: str) -> dict[str, str]:
    """Write control totals for people: the count as it is, sums as money."""
    digits = exponent(currency)
    return {
        name if name == ROWS else f"total {name}": str(total) if name == ROWS else major(total, digits)
        for name, total in totals.items()
    }


def _cell_of(column: Column, scope: Scope) -> Callable[[Any], str]:
    digits, zone = exponent(scope.currency), scope.zone
    match column.kind:
        case "money":
            return lambda value: "" if value is None else major(value, digits)
        case "moment":
            return lambda value: "" if value is None else value.astimezone(zone).isoformat(timespec="milliseconds")
        case "date":
            return lambda value: "" if value is None else value.isoformat()
        case "number":
            return lambda value: "" if value is None else str(value)
    return _text


def _text(value: Any) -> str:
    text = "" if value is None else str(value)
    # What a stranger typed must not become a formula on the desk of whoever opens the file.
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
