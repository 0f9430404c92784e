"""The formats of reports: real numbers in sheets, a journal that beancount accepts, equal hashes, no formulas."""

import hashlib
import io

import pytest
from beancount import loader
from beancount.core.data import Transaction
from openpyxl import load_workbook

from flint.reports.models import Format
from flint.reports.registry import Column, ReportType, Scope
from flint.reports.writing import Writer
from flint.testing import stories
from flint.testing.reports import COMMITTED, content_of, made, read
from flint.testing.stories import eur, line
from orders.models import LedgerEntry

pytestmark = pytest.mark.django_db(**COMMITTED)


@pytest.fixture
def books(environment):
    order = stories.paid_order(environment, line(6_000, name="=1+1"), line(4_050))
    stories.refund(order, amount_money=eur(2_505))
    return order


def interval_of(report) -> dict:
    return {"start": report.interval_start_at, "end": report.interval_end_at}


def test_a_sheet_holds_numbers_and_says_what_it_is(environment, books):
    plain = made(environment, "journal_v1")
    sheet = made(environment, "journal_v1", format="xlsx", **interval_of(plain))

    book = load_workbook(io.BytesIO(content_of(sheet)))
    head, *rows = book["Report"].iter_rows(values_only=True)

    amounts = [row[head.index("amount")] for row in rows]
    assert amounts == [float(row["amount"]) for row in read(plain).rows]
    assert sum(round(amount * 100) for amount in amounts) == sum(LedgerEntry.objects.values_list("amount", flat=True))
    about = dict(book["About"].iter_rows(values_only=True))
    assert about["sha256"] == sheet.content_sha256 == plain.content_sha256
    assert about["timezone"] == "UTC" and about["total amount"] == read(plain).about["total amount"]
    assert about["interval_start_at"] == read(plain).about["interval_start_at"]


def test_equal_contents_are_equal_files(environment, books):
    first = made(environment, "journal_v1", format="xlsx")
    again = made(environment, "journal_v1", format="xlsx", **interval_of(first))
    digests = {hashlib.sha256(content_of(report)).hexdigest() for report in (first, again)}
    assert len(digests) == 1


def test_beancount_itself_accepts_the_journal(environment, books):
    journal = made(environment, "journal_v1", format="beancount")
    text = content_of(journal).decode()

    entries, errors, _ = loader.load_string(text)

    assert errors == []
    booked = [entry for entry in entries if isinstance(entry, Transaction)]
    assert len(booked) == LedgerEntry.objects.count()
    assert {entry.meta["entry_id"] for entry in booked} == set(LedgerEntry.objects.values_list("id", flat=True))
    assert f"; sha256: {journal.content_sha256}" in text
    assert "balance Income:Sales -75.45 ~ 0.00 EUR" in text


def test_beancount_finds_a_journal_that_does_not_add_up(environment, books):
    text = content_of(made(environment, "journal_v1", format="beancount")).decode()
    _, errors, _ = loader.load_string(text.replace("Sales -75.45", "Sales -75.46"))
    assert len(errors) == 1


def test_a_currency_without_cents(environment):
    stories.paid_order(environment, total=500, currency="JPY")
    assert set(read(made(environment, "journal_v1", currency="JPY")).column("amount")) == {"500"}
    text = content_of(made(environment, "journal_v1", currency="JPY", format="beancount")).decode()
    _, errors, _ = loader.load_string(text)
    assert errors == [] and "Assets:Processor  500 JPY" in text


def test_what_somebody_typed_is_never_a_formula(environment, books):
    assert "'=1+1" in read(made(environment, "orders_itemized_v2")).column("name")
    sheet = load_workbook(io.BytesIO(content_of(made(environment, "orders_itemized_v2", format="xlsx"))))["Report"]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}


class Memory:
    """A sink that keeps what it is given."""

    def __init__(self):
        self.content = b""

    def write(self, content: bytes) -> None:
        self.content += content


@pytest.mark.parametrize(
    ("currency", "amount", "text"), [("EUR", -5, "-0.05"), ("KWD", 1_234, "1.234"), ("JPY", 0, "0")]
)
def test_money_has_the_digits_of_its_currency(currency, amount, text):
    plain = ReportType(
        name="plain",
        title="Plain",
        about="",
        columns=(Column("amount", "money", ""), Column("nothing", "money", ""), Column("line", "text", "")),
        rows=lambda scope: iter(()),
        controls=lambda scope: {},
        watches=(),
    )
    sink = Memory()
    scope = Scope("env_1", currency, *[stories.timezone.now()] * 2, "UTC", "default")
    writer = Writer(plain, scope, Format.CSV, sink)
    writer.add((amount, None, 'He said "a,b"\n'))
    writer.end()
    assert sink.content.split(b"\r\n", 1)[1].startswith(f'{text},,"He said ""a,b""\n"\r\n'.encode())
