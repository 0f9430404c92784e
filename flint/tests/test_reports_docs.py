"""What is written about the reports is what the code declares."""

from pathlib import Path

from django.conf import settings

from flint.reports.describing import BEGIN, describe
from flint.reports.registry import types

DOCS = Path(settings.BASE_DIR) / "flint" / "docs" / "reports.md"
PUBLISHED = {
    "orders_itemized_v1",
    "orders_itemized_v2",
    "payments_itemized_v1",
    "balance_transactions_itemized_v1",
    "payouts_itemized_v1",
    "tax_itemized_v1",
    "tax_summarized_v1",
}


def test_every_column_is_documented_as_it_is():
    """If it is not: ``DOCS.write_text(head + BEGIN + "\\n\\n" + describe())``."""
    _, _, described = DOCS.read_text().partition(f"{BEGIN}\n\n")
    assert described == describe()


def test_what_the_contract_names_is_there_and_every_column_says_what_it_holds():
    assert set(types()) >= PUBLISHED
    for each in types().values():
        names = [column.name for column in each.columns]
        assert len(set(names)) == len(names)
        assert all(column.about.endswith(".") for column in each.columns), each.name
        assert set(each.groups) <= set(names) and (not each.groups or each.amount in names)
