"""CSV: one line of names, the rows, and at the end what the file says of itself, in lines that begin with ``#``."""

import csv
import io
from typing import Any


class CsvFile:
    """The lines as they come; they are CSV already."""

    def __init__(self, report_type: Any, scope: Any, sink: Any):
        self._sink = sink

    def add(self, rows: list[tuple], cells: list[list[str]], lines: bytes) -> None:
        """Write lines."""
        self._sink.write(lines)

    def end(self, about: dict[str, str]) -> None:
        """Write the end."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows([f"# {name}", value] for name, value in about.items())
        self._sink.write(text.getvalue().encode())
