"""
What an interval changed in the parts of orders: what each came to be worth more or less, and what of it was credited.

Worth comes from the versions of the rows that the database kept (``orders.keeping``). Each group of versions that one
transaction wrote is dated by the events that the order counted in it, and so exactly as the ledger's entries are.
Credits come from the ledger; which parts they are for is known to the rooms that credit, and they say so here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any, TypeVar

from flint.money import share
from flint.reports.registry import Scope
from orders.models import Charge, LineItem, Order, RowVersion, TaxBreakdown
from orders.reports.reading import select, walk

BATCH = 200
"""How many orders are put together at a time."""

LINE, CHARGE, TIP, TAX = "line_item", "charge", "tip", "tax"
UNALLOCATED = "Not allocated to an item"

ORDER, LINES, CHARGES, TAXES = (model._meta.label_lower for model in (Order, LineItem, Charge, TaxBreakdown))

SALES = """
    SELECT entry.order_id, array_agg(DISTINCT event.sequence)
    FROM orders_ledgerentry entry JOIN events_event event ON event.id = entry.event_id
    WHERE entry.environment_id = %(environment)s AND entry.currency = %(currency)s
        AND entry.created_at >= %(start)s AND entry.created_at < %(end)s AND entry.kind LIKE 'sale\\_%%'
    GROUP BY entry.order_id ORDER BY entry.order_id
"""

CREDITS = """
    SELECT o.id, o.order_number, o.is_hidden, entry.source_id,
        COALESCE(SUM(moved) FILTER (WHERE entry.kind LIKE 'credit\\_goods%%'), 0),
        COALESCE(SUM(moved) FILTER (WHERE entry.kind LIKE 'credit\\_charge%%'), 0),
        COALESCE(SUM(moved) FILTER (WHERE entry.kind LIKE 'credit\\_tip%%'), 0),
        COALESCE(SUM(moved) FILTER (WHERE entry.kind LIKE 'credit\\_tax%%'), 0)
    FROM (
        SELECT order_id, source_id, event_id, kind,
            CASE WHEN credit = 'receivable' THEN amount ELSE -amount END AS moved
        FROM orders_ledgerentry
        WHERE environment_id = %(environment)s AND currency = %(currency)s
            AND created_at >= %(start)s AND created_at < %(end)s AND kind LIKE 'credit\\_%%'
    ) AS entry JOIN orders_order o ON o.id = entry.order_id
    GROUP BY o.id, entry.event_id, entry.source_id ORDER BY o.id, entry.event_id, entry.source_id
"""

T = TypeVar("T")
Columns = dict[str, Any]
State = dict[str, dict[str, Columns]]


@dataclass(frozen=True, slots=True)
class Worth:
    """What a part is worth: so many units, before and after discounts without tax, and the tax on it."""

    quantity: int = 0
    gross: int = 0
    discount: int = 0
    net: int = 0
    tax: int = 0

    def __sub__(self, other: "Worth") -> "Worth":
        return Worth(*(ours - theirs for ours, theirs in zip(self._all, other._all, strict=True)))

    def __add__(self, other: "Worth") -> "Worth":
        return Worth(*(ours + theirs for ours, theirs in zip(self._all, other._all, strict=True)))

    def __neg__(self) -> "Worth":
        return Worth() - self

    def __bool__(self) -> bool:
        return any(self._all)

    @property
    def _all(self) -> tuple[int, ...]:
        return (self.quantity, self.gross, self.discount, self.net, self.tax)


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax by what it is, whatever row it is on."""

    jurisdiction: str
    name: str
    level: str
    state: str
    country: str
    tax_type: str
    price_mode: str
    percent: int | None


@dataclass(slots=True)
class Change:
    """What an interval did to one part of one order. ``taxes`` are taxable amount and tax, by tax."""

    order_id: str
    order_number: str
    is_hidden: bool
    type: str
    item_id: str
    name: str
    worth: Worth = field(default_factory=Worth)
    taxes: dict[Tax, tuple[int, int]] = field(default_factory=dict)

    def add_tax(self, tax: Tax, taxable: int, amount: int) -> None:
        """Count some of a tax."""
        had = self.taxes.get(tax, (0, 0))
        self.taxes[tax] = (had[0] + taxable, had[1] + amount)


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a source of credits gives back of one part. ``split`` says how much of which tax, where that was stated."""

    type: str
    item_id: str
    worth: Worth
    split: dict[str, int] = field(default_factory=dict)


Allocate = Callable[[Scope, Sequence[str]], dict[str, list[Allocation]]]
"""Given ids of sources of credits, what those of them that it knows give back, part by part."""

_allocators: list[Allocate] = []


def allocates(allocate: Allocate) -> Allocate:
    """Register a function that knows which parts of an order some credits are for."""
    _allocators.append(allocate)
    return allocate


# What was sold


def sales(scope: Scope) -> Iterator[Change]:
    """Yield what the interval changed in the worth of each part, order by order."""
    for batch in _batches(walk(scope, SALES)):
        wanted = {order_id: set(sequences) for order_id, sequences in batch}
        versions = RowVersion.objects.using(scope.using).filter(
            order_id__in=wanted, model__in=[ORDER, LINES, CHARGES, TAXES]
        )
        listed = versions.order_by("order_id", "id").values_list(
            "order_id", "model", "row_id", "changes", "recorded_at"
        )
        for order_id, kept in groupby(listed.iterator(chunk_size=2_000), key=lambda row: row[0]):
            yield from _sold(order_id, wanted[order_id], kept)


def _sold(order_id: str, wanted: set[int], versions: Iterable[tuple]) -> Iterator[Change]:
    state: State = {ORDER: {}, LINES: {}, CHARGES: {}, TAXES: {}}
    changes: dict[tuple[str, str], Change] = {}
    counted = 0
    for _, group in groupby(versions, key=lambda row: row[4]):
        rows = list(group)
        told = [row[3]["event_count"] for row in rows if row[1] == ORDER and row[3] and "event_count" in row[3]]
        last = told[-1] if told else counted
        is_wanted = any(counted < sequence <= last for sequence in wanted)
        before = _parts(state) if is_wanted else {}
        _apply(state, rows)
        if is_wanted:
            _compare(state[ORDER][order_id], before, _parts(state), changes)
        counted = last
    for change in changes.values():
        if change.worth or any(any(amounts) for amounts in change.taxes.values()):
            yield change


def _apply(state: State, rows: list[tuple]) -> None:
    for _, model, row_id, changed, _ in rows:
        if changed is None:
            state[model].pop(row_id, None)
        else:
            # A copy, so that what was put together before stays as it was.
            state[model][row_id] = {**state[model].get(row_id, {}), **changed}


@dataclass(slots=True)
class _Part:
    name: str
    worth: Worth
    taxes: dict[Tax, tuple[int, int]] = field(default_factory=dict)


def _parts(state: State) -> dict[tuple[str, str], _Part]:
    """Return what the parts of an order are worth as its rows stand."""
    parts: dict[tuple[str, str], _Part] = {}
    for row_id, row in state[LINES].items():
        net = row["subtotal_amount"] - row["discount_amount"] - row["inclusive_tax_amount"]
        worth = Worth(row["quantity"], row["subtotal_amount"], row["discount_amount"], net, row["tax_amount"])
        parts[LINE, row_id] = _Part(row["name"], worth)
    for row_id, row in state[CHARGES].items():
        net = row["applied_amount"] - row["discount_amount"] - row["inclusive_tax_amount"]
        worth = Worth(1, row["applied_amount"], row["discount_amount"], net, row["tax_amount"])
        parts[CHARGE, row_id] = _Part(row["name"], worth)
    for order in state[ORDER].values():
        if order["tip_id"] or order["tip_amount"]:
            tip = order["tip_amount"]
            parts[TIP, order["tip_id"]] = _Part(order["tip_name"] or "Tip", Worth(1, tip, 0, tip, 0))
    for row_id, row in state[TAXES].items():
        tax, amounts = _tax_of(row), (row["taxable_amount"], row["tax_amount"])
        key = (LINE, row["line_item_id"]) if row["line_item_id"] else (CHARGE, row["charge_id"])
        if not key[1]:
            key = (TAX, row_id)
            parts[key] = _Part(tax.name or "Tax", Worth(1, 0, 0, 0, row["tax_amount"]))
        if key in parts:
            had = parts[key].taxes.get(tax, (0, 0))
            parts[key].taxes[tax] = (had[0] + amounts[0], had[1] + amounts[1])
    return parts


def _tax_of(row: Columns) -> Tax:
    place = row["jurisdiction"] or {}
    return Tax(
        jurisdiction=place.get("code", ""),
        name=place.get("name", ""),
        level=place.get("level", ""),
        state=place.get("state", ""),
        country=place.get("country", ""),
        tax_type=row["tax_type"],
        price_mode=row["price_mode"],
        percent=row["percent"],
    )


def _compare(
    order: Columns,
    before: dict[tuple[str, str], _Part],
    after: dict[tuple[str, str], _Part],
    changes: dict[tuple[str, str], Change],
) -> None:
    nothing = _Part("", Worth())
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key, nothing), after.get(key, nothing)
        if key not in changes:
            changes[key] = Change(order["id"], order["order_number"], order["is_hidden"], *key, "")
        change = changes[key]
        change.name = new.name or old.name
        change.worth += new.worth - old.worth
        for tax, (taxable, amount) in new.taxes.items():
            change.add_tax(tax, taxable, amount)
        for tax, (taxable, amount) in old.taxes.items():
            change.add_tax(tax, -taxable, -amount)


# What was credited


def credits(scope: Scope) -> Iterator[Change]:
    """Yield what was credited in the interval, part by part, as amounts below nothing, undone credits above."""
    for batch in _batches(walk(scope, CREDITS)):
        found: dict[str, list[Allocation]] = {}
        sources = [row[3] for row in batch]
        for allocate in _allocators:
            found |= allocate(scope, sources)
        parts = [part for allocations in found.values() for part in allocations]
        names = _names(scope, [part.item_id for part in parts])
        taxes = _taxes(scope, [part.item_id for part in parts if part.worth.tax])
        of_orders = _taxes_of_orders(scope, [row[0] for row in batch if row[7]])
        for order_id, number, is_hidden, source, *amounts in batch:
            goods, charges, tip, tax = map(int, amounts)
            known = _fitting(found.get(source, []), goods, charges, tax)
            for sign, part in known:
                change = Change(order_id, number, is_hidden, part.type, part.item_id, names.get(part.item_id, ""))
                change.worth = -part.worth if sign > 0 else part.worth
                _split_tax(change, part, taxes.get(part.item_id, []))
                yield change
            rest = {LINE: goods, CHARGE: charges, TIP: tip, TAX: 0}
            for sign, part in known:
                if part.type in rest:
                    rest[part.type] -= sign * part.worth.net
            rest_of_tax = tax - sum(sign * part.worth.tax for sign, part in known)
            for type, amount in rest.items():
                taxed = rest_of_tax if type == TAX else 0
                if amount or taxed:
                    name = "Tip" if type == TIP else UNALLOCATED
                    worth = Worth(0, -amount, 0, -amount, -taxed)
                    change = Change(order_id, number, is_hidden, type, "", name, worth)
                    _split_tax(change, Allocation(type, "", worth), of_orders.get(order_id, []))
                    yield change


def _fitting(parts: list[Allocation], goods: int, charges: int, tax: int) -> list[tuple[int, Allocation]]:
    """Return the parts with the sign that makes them what was posted; none if they are of something else."""
    sums = (
        sum(part.worth.net for part in parts if part.type == LINE),
        sum(part.worth.net for part in parts if part.type == CHARGE),
        sum(part.worth.tax for part in parts),
    )
    for sign in (1, -1):
        if tuple(sign * each for each in sums) == (goods, charges, tax):
            return [(sign, part) for part in parts]
    return []


def _split_tax(change: Change, part: Allocation, taxes: list[tuple[str, Tax, int, int]]) -> None:
    """Say of which taxes what was credited is: as it was stated, or in proportion to what was charged."""
    amount = change.worth.tax
    if not amount or not taxes:
        return
    if sum(part.split.values()) == part.worth.tax and part.split:
        sign = -1 if amount < 0 else 1
        shares = [sign * part.split.get(row_id, 0) for row_id, *_ in taxes]
    else:
        shares = share(amount, [charged for _, _, charged, _ in taxes])
    for (_, tax, charged, taxable), portion in zip(taxes, shares, strict=True):
        change.add_tax(tax, _portion(taxable, portion, charged), portion)


def _portion(taxable: int, portion: int, charged: int) -> int:
    return share(taxable, [abs(portion), charged - abs(portion)])[0] * (-1 if portion < 0 else 1) if charged else 0


def _names(scope: Scope, ids: list[str]) -> dict[str, str]:
    """Return what items were last called by the end of the interval."""
    if not ids:
        return {}
    found = select(
        scope,
        """
        SELECT DISTINCT ON (row_id) row_id, changes ->> 'name' FROM orders_rowversion
        WHERE order_id IN (SELECT order_id FROM orders_lineitem WHERE id = ANY(%(ids)s)
                UNION SELECT order_id FROM orders_charge WHERE id = ANY(%(ids)s))
            AND row_id = ANY(%(ids)s) AND changes ? 'name' AND recorded_at < %(end)s
        ORDER BY row_id, id DESC
        """,
        ids=ids,
    )
    return dict(found)


def _taxes(scope: Scope, ids: list[str]) -> dict[str, list[tuple[str, Tax, int, int]]]:
    """Return the taxes of items: each row's id, what it is, how much it is, and on what."""
    found: dict[str, list[tuple[str, Tax, int, int]]] = defaultdict(list)
    if not ids:
        return found
    rows = TaxBreakdown.objects.using(scope.using)
    kept = rows.filter(line_item_id__in=ids) | rows.filter(charge_id__in=ids) | rows.filter(id__in=ids)
    for row in kept.order_by("order_id", "position", "id"):
        owner = row.line_item_id or row.charge_id or row.id
        found[owner].append((row.id, _tax_of(vars(row)), row.tax_amount, row.taxable_amount))
    return found


def _taxes_of_orders(scope: Scope, ids: list[str]) -> dict[str, list[tuple[str, Tax, int, int]]]:
    """Return all taxes of orders, for what was credited of them as a whole."""
    found: dict[str, list[tuple[str, Tax, int, int]]] = defaultdict(list)
    rows = TaxBreakdown.objects.using(scope.using).filter(order_id__in=ids, tax_amount__gt=0)
    for row in rows.order_by("order_id", "position", "id") if ids else ():
        found[row.order_id].append((row.id, _tax_of(vars(row)), row.tax_amount, row.taxable_amount))
    return found


def _batches(rows: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
