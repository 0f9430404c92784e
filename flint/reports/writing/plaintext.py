"""
A journal as plain text that beancount reads (beancount.github.io). It ends with a balance assertion for each account,
out of the control totals, so that beancount itself checks the sums.
"""

import re
from datetime import date, timedelta
from typing import Any

from flint.money import exponent
from flint.reports.writing.figures import major

QUOTED = re.compile(r'[\\"]')


class BeancountFile:
    """
    One transaction per row of a journal.

    The type's ``extra`` names the columns: ``at``, ``debit``, ``credit``, ``amount``, ``payee``, ``narration`` and
    ``links``, and in ``account`` how an account is called there.
    """

    def __init__(self, report_type: Any, scope: Any, sink: Any):
        self._sink, self._scope, self._extra = sink, scope, report_type.extra
        self._title = report_type.title
        self._names = [column.name for column in report_type.columns]
        self._sums: dict[str, int] = {}
        self._opened: set[str] = set()
        self._at, self._debit, self._credit, self._amount = (
            self._names.index(self._extra[name]) for name in ("at", "debit", "credit", "amount")
        )
        self._payee, self._narration = (self._names.index(self._extra[name]) for name in ("payee", "narration"))
        self._facts = [self._names.index(name) for name in self._extra["links"]]

    def add(self, rows: list[tuple], cells: list[list[str]], lines: bytes) -> None:
        """Write a transaction per row; the head is the file's."""
        if not rows:
            self._write(
                f'option "title" {quoted(self._title)}\n'
                f'option "operating_currency" "{self._scope.currency}"\n'
                "; Only what moved within the interval: every account begins at nothing.\n"
            )
            return
        text = []
        for row, line in zip(rows, cells, strict=True):
            for code in (row[self._debit], row[self._credit]):
                self._open(code, text)
            self._sums[row[self._debit]] = self._sums.get(row[self._debit], 0) + row[self._amount]
            self._sums[row[self._credit]] = self._sums.get(row[self._credit], 0) - row[self._amount]
            text.append(self._transaction(row, line))
        self._write("".join(text))

    def end(self, about: dict[str, str]) -> None:
        """Assert what each account comes to, and say what the file is of."""
        # A balance is asserted as of the beginning of a day.
        day = self._scope.local(self._scope.end).date() + timedelta(days=1)
        digits = exponent(self._scope.currency)
        precise = f"{major(0, digits)} {self._scope.currency}"
        text = [
            f"{day} balance {self._extra['account'](code)} {major(total, digits)} ~ {precise}\n"
            for code, total in sorted(self._sums.items())
        ]
        text += [f"; {name}: {value}\n" for name, value in about.items()]
        self._write("\n" + "".join(text))

    def _open(self, code: str, text: list[str]) -> None:
        if code not in self._opened:
            self._opened.add(code)
            day: date = self._scope.local(self._scope.start).date()
            text.append(f"\n{day} open {self._extra['account'](code)} {self._scope.currency}\n")

    def _transaction(self, row: tuple, line: list[str]) -> str:
        day = self._scope.local(row[self._at]).date()
        facts = "".join(f"  {self._names[index]}: {quoted(line[index])}\n" for index in self._facts if line[index])
        amount, currency = line[self._amount], self._scope.currency
        debit, credit = (self._extra["account"](row[index]) for index in (self._debit, self._credit))
        return (
            f"\n{day} * {quoted(line[self._payee])} {quoted(line[self._narration])}\n{facts}"
            f"  {debit}  {amount} {currency}\n  {credit}  -{amount} {currency}\n"
        )

    def _write(self, text: str) -> None:
        self._sink.write(text.encode())


def quoted(text: str) -> str:
    """Return a text as a string of beancount's."""
    return '"' + QUOTED.sub(r"\\\g<0>", text).replace("\n", " ") + '"'
