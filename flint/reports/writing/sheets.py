"""Excel: a sheet of rows, with real numbers for money, and a second one with what the file says of itself."""

import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import xlsxwriter

from flint.money import exponent

MOST_ROWS = 1_000_000
"""What fits on a sheet, with room for its head."""

PIECE = 1024 * 1024
MADE_AT = datetime(2000, 1, 1)
"""A fixed time, so that equal contents are equal files."""


class TooManyRows(Exception):
    """The format holds no more rows."""


class Digits:
    """
    A number by its digits. A sheet keeps numbers as text, and the library asks two things of them: whether they are
    finite, and how they are written. So money gets there as it is, without passing through a float.
    """

    __slots__ = ("text",)

    def __init__(self, text: str):
        self.text = text

    def __float__(self) -> float:
        return 0.0

    def __format__(self, spec: str) -> str:
        return self.text


class XlsxFile:
    """Rows go to a scratch file as they come; the whole is handed on at the end."""

    def __init__(self, report_type: Any, scope: Any, sink: Any):
        self._sink, self._kinds = sink, [column.kind for column in report_type.columns]
        self._folder = tempfile.TemporaryDirectory(prefix="flint-report-")
        self._path = Path(self._folder.name) / "report.xlsx"
        self._book = xlsxwriter.Workbook(str(self._path), {"constant_memory": True, "tmpdir": self._folder.name})
        self._book.set_properties({"title": report_type.title, "created": MADE_AT})
        digits = exponent(scope.currency)
        self._head = self._book.add_format({"bold": True, "bottom": 1})
        self._money = self._book.add_format({"num_format": f"#,##0.{'0' * digits}" if digits else "#,##0"})
        self._rows, self._about = self._book.add_worksheet("Report"), self._book.add_worksheet("About")
        self._rows.freeze_panes(1, 0)
        for index, column in enumerate(report_type.columns):
            self._rows.set_column(index, index, 14 if column.kind in ("money", "number") else 26)
        self._next = 0

    def add(self, rows: list[tuple], cells: list[list[str]], lines: bytes) -> None:
        """Write rows; the first without values is the head."""
        if self._next + len(cells) > MOST_ROWS + 1:
            raise TooManyRows(f"A sheet holds {MOST_ROWS} rows.")
        for line in cells:
            if not self._next:
                for index, text in enumerate(line):
                    self._rows.write_string(0, index, text, self._head)
            else:
                self._add(line)
            self._next += 1

    def _add(self, line: list[str]) -> None:
        for index, (kind, text) in enumerate(zip(self._kinds, line, strict=True)):
            if not text:
                continue
            if kind == "money":
                self._rows.write_number(self._next, index, Digits(text), self._money)
            elif kind == "number":
                self._rows.write_number(self._next, index, Digits(text))
            else:
                self._rows.write_string(self._next, index, text)

    def end(self, about: dict[str, str]) -> None:
        """Write the second sheet, close the book and hand it on."""
        self._about.set_column(0, 1, 40)
        for index, (name, value) in enumerate(about.items()):
            self._about.write_string(index, 0, name, self._head)
            self._about.write_string(index, 1, value)
        self._book.close()
        with self._folder, self._path.open("rb") as made:
            shutil.copyfileobj(made, self._sink, PIECE)
