"""Tax: charged and given back, by item, and summed up by jurisdiction."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from flint.reports.registry import Column, ReportType, Row, Scope, Totals, declare
from orders import ledger
from orders.models import LedgerEntry, RowVersion
from orders.reports.changes import Change, Tax, credits, sales
from orders.reports.items import accounts

UNKNOWN = Tax("", "", "", "", "", "", "", None)
"""What was given back of tax without saying of which."""

TAX_COLUMNS = (
    Column("jurisdiction", "text", "Whose tax it is, by its code."),
    Column("jurisdiction_name", "text", "And by its name."),
    Column("jurisdiction_level", "text", "What kind of place that is."),
    Column("state", "text", "The state it is in."),
    Column("country", "text", "The country it is in."),
    Column("tax_type", "text", "What kind of tax."),
    Column("price_mode", "text", "`additive` on top of the price, `inclusive` within it."),
    Column("percent", "text", "The rate; empty for a flat amount."),
)

ITEMIZED = (
    Column("entry_type", "text", "`sale` for what was charged, `return` for what was given back."),
    Column("order_id", "text", "The order; empty for a payment taken without one."),
    Column("order_number", "text", "The order's number for people."),
    Column("item_type", "text", "`line_item`, `charge`, or `tax` for a flat tax on the order as a whole."),
    Column("item_id", "text", "The item that is taxed."),
    Column("name", "text", "What it was called by the end of the interval."),
    *TAX_COLUMNS,
    Column("taxable", "money", "What the tax is on."),
    Column("tax", "money", "How much tax."),
)

SUMMARIZED = (
    *TAX_COLUMNS,
    Column("taxable_sales", "money", "What was taxed."),
    Column("taxable_returns", "money", "What of it was given back, below nothing."),
    Column("charged", "money", "Tax charged."),
    Column("returned", "money", "Tax given back, below nothing."),
    Column("tax", "money", "What is left of it."),
)


def itemized(scope: Scope) -> Iterator[Row]:
    """Yield each tax on each item."""
    for entry_type, change, tax, taxable, amount in _taxes(scope):
        shown = (None, None) if change.is_hidden else (change.order_id, change.order_number)
        yield (entry_type, *shown, change.type, change.item_id, change.name, *_shown(tax), taxable, amount)


def summarized(scope: Scope) -> Iterator[Row]:
    """Yield each tax once. There are few, however many were sold."""
    sums: dict[Tax, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for entry_type, _, tax, taxable, amount in _taxes(scope):
        is_return = entry_type == "return"
        sums[tax][is_return] += taxable
        sums[tax][2 + is_return] += amount
    for tax in sorted(sums, key=_shown):
        yield (*_shown(tax), *sums[tax], sum(sums[tax][2:]))


def _taxes(scope: Scope) -> Iterator[tuple[str, Change, Tax, int, int]]:
    yield from _each("sale", sales(scope))
    yield from _each("return", credits(scope))


def _each(entry_type: str, changes: Iterable[Change]) -> Iterator[tuple[str, Change, Tax, int, int]]:
    for change in changes:
        for tax, (taxable, amount) in change.taxes.items():
            if taxable or amount:
                yield entry_type, change, tax, taxable, amount
        if entry_type == "return":
            rest = change.worth.tax - sum(amount for _, amount in change.taxes.values())
            if rest:
                yield entry_type, change, UNKNOWN, 0, rest


def _shown(tax: Tax) -> tuple[str, ...]:
    place = (tax.jurisdiction, tax.name, tax.level, tax.state, tax.country)
    return (*place, tax.tax_type, tax.price_mode, _percent(tax.percent))


def _percent(steps: int | None) -> str:
    """Write a rate in steps of 0.0001 % for people, without zeros at its end."""
    if steps is None:
        return ""
    text = f"{steps // 10_000}.{steps % 10_000:04}"
    return text.rstrip("0").rstrip(".")


def controls(scope: Scope) -> Totals:
    """Hold the tax against the account that it is kept in."""
    return {"tax": accounts(scope).get(ledger.TAX, 0)}


TAX_ITEMIZED = declare(
    ReportType(
        name="tax_itemized_v1",
        title="Tax by item",
        about="One row for each tax on each item that was sold, changed or credited within the interval.",
        columns=ITEMIZED,
        rows=itemized,
        controls=controls,
        watches=(LedgerEntry, RowVersion),
    )
)
TAX_SUMMARIZED = declare(
    ReportType(
        name="tax_summarized_v1",
        title="Tax by jurisdiction",
        about="One row for each tax, by jurisdiction, kind and rate.",
        columns=SUMMARIZED,
        rows=summarized,
        controls=controls,
        watches=(LedgerEntry, RowVersion),
    )
)
