"""Going around the services: PostgreSQL itself refuses every commit that would let an order drift."""

import pytest
from django.db import DatabaseError, connection, transaction

from flint.actors import system
from flint.ids import new_id
from flint.money import Money
from orders import services
from orders.models import Charge, LedgerEntry, LineItem, Order
from orders.tests.sales import CITY, everything, nothing_moves

pytestmark = pytest.mark.django_db(transaction=True)


def eur(amount: int) -> Money:
    return Money(amount, "EUR")


@pytest.fixture
def order(environment) -> Order:
    """An order with one of every part: 2 × 10.00 taxed, 5.00 delivery taxed, 1.00 off, a tip, a flat tax."""
    actor = system(environment.id)
    tax = {
        "calculation": {
            "mode": "external",
            "price_mode": "additive",
            "components": [{"jurisdiction": CITY, "percent": 100_000, "tax_type": "sales_tax"}],
        }
    }
    flat = {"mode": "external", "price_mode": "additive", "components": [{"flat_money": eur(25), "jurisdiction": CITY}]}
    order, _ = services.create_order(
        actor=actor,
        data={
            "line_items": [{"name": "Cup", "quantity": 2, "unit_price_money": eur(1_000), "tax": tax}],
            "discounts": [{"manual": {"name": "Off", "amount_money": eur(100)}}],
            "requested_tip": {"amount_money": eur(50)},
            "tax": {"calculation": flat},
        },
    )
    charge = {"name": "Delivery", "type": "delivery_fee", "amount_money": eur(500), "tax": tax}
    services.add_charge(order_id=order.id, charge=charge, actor=actor)
    return Order.objects.get(id=order.id)


def run(*statements: str, **values) -> None:
    """Run statements of our own in one transaction, and commit."""
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, values)


def refusal_of(*statements: str, **values) -> str:
    """Return what PostgreSQL says against the statements: its message, the constraint and where it was raised."""
    before = everything()
    with pytest.raises(DatabaseError) as caught:
        run(*statements, **values)
    assert everything() == before
    diagnosis = caught.value.__cause__.diag
    return " ".join(filter(None, [str(caught.value), diagnosis.constraint_name, diagnosis.context]))


COLUMNS = {
    "subtotal_amount": "order_total_is_its_terms",
    "discount_amount": "order_total_is_its_terms",
    "charge_amount": "order_total_is_its_terms",
    "tip_amount": "order_total_is_its_terms",
    "tax_amount": "order_total_is_its_terms",
    "inclusive_tax_amount": "order_total_is_its_terms",
    "total_amount": "order_total_is_its_terms",
    "paid_amount": "order_paid_is_its_",  # Its ledger and its legs both say no; which one is heard first is no matter.
    "credit_amount": "order_credit_is_its_ledger",
    "refunded_amount": "order_gives_back_at_most_what_was_paid",
    "refund_pending_amount": "order_gives_back_at_most_what_was_paid",
    "charged_back_amount": "order_gives_back_at_most_what_was_paid",
    "entry_count": "order_entries_without_gaps",
    "event_count": "order_events_without_gaps",
}


@pytest.mark.parametrize(("column", "constraint"), COLUMNS.items())
def test_no_amount_of_an_order_is_written_by_hand(order, column, constraint):
    said = refusal_of(f"UPDATE orders_order SET {column} = {column} + 1 WHERE id = %(order)s", order=order.id)

    assert constraint in said


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("subtotal_amount = subtotal_amount + 1", "order_subtotal_is_its_lines"),
        ("charge_amount = charge_amount + 1", "order_charge_is_its_charges"),
        ("tax_amount = tax_amount + 1", "order_tax_is_its_parts"),
        ("tip_amount = tip_amount + 1", "order_total_is_its_sales"),
    ],
)
def test_not_even_with_a_total_that_fits(order, change, constraint):
    said = refusal_of(
        f"UPDATE orders_order SET {change}, total_amount = total_amount + 1 WHERE id = %(order)s", order=order.id
    )

    assert constraint in said


def test_a_discount_and_an_inclusive_tax_are_those_of_the_parts(order):
    for column, constraint in [
        ("discount_amount", "order_discount_is_its_parts"),
        ("inclusive_tax_amount", "order_inclusive_tax_is_its_parts"),
    ]:
        said = refusal_of(
            f"UPDATE orders_order SET {column} = {column} + 1, total_amount = total_amount - 1 WHERE id = %(order)s",
            order=order.id,
        )
        assert constraint in said


# Parts


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE orders_lineitem SET unit_price_amount = 1 WHERE order_id = %(order)s", "line_amounts_add_up"),
        (
            "UPDATE orders_lineitem SET quantity = 0, base_subtotal_amount = 0, subtotal_amount = 0, "
            "discount_amount = 0, tax_amount = 0, total_amount = 0 WHERE order_id = %(order)s",
            "line_quantity_positive",
        ),
        (
            "UPDATE orders_lineitem SET unit_price_amount = unit_price_amount - 100, base_subtotal_amount = "
            "base_subtotal_amount - 200, subtotal_amount = subtotal_amount - 200, total_amount = total_amount - 200 "
            "WHERE order_id = %(order)s",
            "order_subtotal_is_its_lines",
        ),
        (
            "UPDATE orders_lineitem SET discount_amount = discount_amount + 1, total_amount = total_amount - 1 "
            "WHERE order_id = %(order)s",
            "order_discount_is_its_parts",
        ),
        (
            "UPDATE orders_charge SET fixed_amount = 1, applied_amount = applied_amount - 1, total_amount = "
            "total_amount - 1 WHERE order_id = %(order)s",
            "order_charge_is_its_charges",
        ),
        (
            "UPDATE orders_discount SET applied_amount = applied_amount - 1 WHERE order_id = %(order)s",
            "order_discount_is_its_discounts",
        ),
        (
            "UPDATE orders_discount SET applied_amount = amount + 1 WHERE order_id = %(order)s",
            "discount_applied_within_amount",
        ),
        (
            "UPDATE orders_discount SET status = 'canceled' WHERE order_id = %(order)s",
            "order_discount_is_its_discounts",
        ),
        (
            "UPDATE orders_taxbreakdown SET tax_amount = tax_amount + 1 WHERE order_id = %(order)s AND "
            "line_item_id IS NOT NULL",
            "line_tax_is_its_breakdown",
        ),
        (
            "UPDATE orders_taxbreakdown SET tax_amount = tax_amount + 1 WHERE order_id = %(order)s AND "
            "charge_id IS NOT NULL",
            "charge_tax_is_its_breakdown",
        ),
        (
            "UPDATE orders_taxbreakdown SET flat_amount = flat_amount + 1, tax_amount = tax_amount + 1 "
            "WHERE order_id = %(order)s AND calculation_type = 'flat_amount'",
            "order_tax_is_its_parts",
        ),
        (
            "DELETE FROM orders_taxbreakdown WHERE order_id = %(order)s AND line_item_id IS NOT NULL",
            "line_tax_is_its_breakdown",
        ),
        ("DELETE FROM orders_discount WHERE order_id = %(order)s", "order_discount_is_its_discounts"),
    ],
)
def test_no_part_is_changed_behind_its_orders_back(order, statement, constraint):
    assert constraint in refusal_of(statement, order=order.id)


@pytest.mark.parametrize(
    ("model", "column", "constraint"),
    [(LineItem, "line_item_id", "order_subtotal_is_its_lines"), (Charge, "charge_id", "order_charge_is_its_charges")],
)
def test_no_part_is_deleted_behind_its_orders_back(order, model, column, constraint):
    part = model.objects.get(order_id=order.id)

    said = refusal_of(
        f"DELETE FROM orders_taxbreakdown WHERE {column} = %(part)s",
        f"DELETE FROM {model._meta.db_table} WHERE id = %(part)s",
        part=part.id,
    )

    assert constraint in said


def test_a_part_does_not_move_to_another_order(order, environment):
    other, _ = services.create_order(
        actor=system(environment.id), data={"line_items": [{"name": "Cup", "unit_price_money": eur(1)}]}
    )

    said = refusal_of(
        "UPDATE orders_lineitem SET order_id = %(other)s WHERE order_id = %(order)s", order=order.id, other=other.id
    )

    assert "order_subtotal_is_its_lines" in said


# The ledger

ENTRY = """
    INSERT INTO orders_ledgerentry (id, environment_id, order_id, event_id, sequence, kind, debit, credit, amount,
                                    currency, source_id, created_at)
    VALUES (%(id)s, %(environment)s, %(order)s, %(event)s, %(sequence)s, '{kind}', '{debit}', '{credit}', {amount},
            '{currency}', %(source)s, now())
"""
COUNTED = "UPDATE orders_order SET entry_count = entry_count + 1 WHERE id = %(order)s"


def entry_values(order: Order) -> dict:
    return {
        "id": new_id("led"),
        "environment": order.environment_id,
        "order": order.id,
        "event": order.events.latest("sequence").id,
        "sequence": order.entry_count + 1,
        "source": new_id("evt"),
    }


@pytest.mark.parametrize(
    ("kind", "debit", "credit", "amount", "currency", "constraint"),
    [
        ("capture", "processor", "receivable", 10, "EUR", "order_paid_is_its_ledger"),
        ("sale_goods", "receivable", "sales", 10, "EUR", "order_total_is_its_sales"),
        ("refund", "receivable", "processor", 10, "EUR", "order_refunded_is_its_ledger"),
        ("refund_promised", "refunds_reserved", "refunds_due", 10, "EUR", "order_refund_pending_is_its_ledger"),
        ("write_off", "write_offs", "receivable", 10, "EUR", "order_credit_is_its_ledger"),
        ("dispute_withdrawn", "receivable", "processor", 10, "EUR", "order_charged_back_is_its_ledger"),
        ("gift", "receivable", "sales", 10, "EUR", "order_balance_is_its_receivable"),
        ("memo", "sales", "tips_payable", 10, "USD", "order_entries_are_its_own"),
        ("sale_goods", "sales", "sales", 10, "EUR", "entry_between_two_accounts"),
        ("sale_goods", "receivable", "sales", 0, "EUR", "entry_moves_something"),
        ("sale_goods", "receivable", "sales", -10, "EUR", "entry_moves_something"),
    ],
)
def test_no_entry_is_written_that_the_order_does_not_show(order, kind, debit, credit, amount, currency, constraint):
    statement = ENTRY.format(kind=kind, debit=debit, credit=credit, amount=amount, currency=currency)

    assert constraint in refusal_of(statement, COUNTED, **entry_values(order))


def test_no_entry_is_of_another_environment(order, other_api):
    statement = ENTRY.format(kind="memo", debit="sales", credit="tips_payable", amount=10, currency="EUR")
    values = entry_values(order) | {"environment": other_api.environment.id}

    assert "order_entries_are_its_own" in refusal_of(statement, COUNTED, **values)


def test_entries_are_counted_without_gaps(order):
    statement = ENTRY.format(kind="memo", debit="sales", credit="tips_payable", amount=10, currency="EUR")

    assert "order_entries_without_gaps" in refusal_of(statement, **entry_values(order))
    far = entry_values(order) | {"sequence": order.entry_count + 2}
    assert "order_entries_without_gaps" in refusal_of(statement, COUNTED, **far)
    taken = entry_values(order) | {"sequence": order.entry_count}
    assert "entry_number_within_order" in refusal_of(statement, COUNTED, **taken)


def test_a_source_moves_a_kind_once(order):
    entry = LedgerEntry.objects.filter(order_id=order.id).latest("sequence")
    statement = ENTRY.format(kind=entry.kind, debit="sales", credit="tips_payable", amount=10, currency="EUR")

    said = refusal_of(statement, COUNTED, **(entry_values(order) | {"source": entry.source_id}))

    assert "entry_once_per_source" in said


@pytest.mark.parametrize(
    ("statement", "trigger"),
    [
        ("DELETE FROM orders_ledgerentry WHERE order_id = %(order)s", "entry_append_only"),
        ("UPDATE orders_ledgerentry SET amount = amount + 1 WHERE order_id = %(order)s", "entry_append_only"),
        ("DELETE FROM events_event WHERE order_id = %(order)s", "event_append_only"),
        ("UPDATE events_event SET actor_label = 'Nobody' WHERE order_id = %(order)s", "event_append_only"),
        ("DELETE FROM orders_order WHERE id = %(order)s", "order_is_never_deleted"),
    ],
)
def test_what_is_written_stays_written(order, statement, trigger):
    assert trigger in refusal_of(statement, order=order.id)


# The history

EVENT = """
    INSERT INTO events_event (id, environment_id, order_id, sequence, type, subject_type, subject_id, actor_kind,
                              actor_id, actor_label, request_id, command_key, currency, total_amount, paid_amount,
                              refunded_amount, refund_pending_amount, credit_amount, charged_back_amount,
                              balance_amount, balance_delta_amount, data, created_at)
    SELECT %(id)s, environment_id, order_id, %(sequence)s, 'order.updated', subject_type, subject_id, actor_kind,
           actor_id, actor_label, request_id, command_key, currency, {total}, {paid}, refunded_amount,
           refund_pending_amount, credit_amount, charged_back_amount, balance_amount, 0, '{{}}', now()
    FROM events_event WHERE order_id = %(order)s ORDER BY sequence DESC LIMIT 1
"""
TOLD = "UPDATE orders_order SET event_count = event_count + 1 WHERE id = %(order)s"


def event(total: str = "total_amount", paid: str = "paid_amount") -> str:
    return EVENT.format(total=total, paid=paid)


def event_values(order: Order, ahead: int = 1) -> dict:
    return {"id": new_id("evt"), "order": order.id, "sequence": order.event_count + ahead}


def test_the_history_has_no_gap(order):
    assert "event_without_gaps" in refusal_of(event(), TOLD, **event_values(order, ahead=2))
    assert "event_without_gaps" in refusal_of(event(), TOLD, **event_values(order, ahead=0))


def test_the_history_is_counted(order):
    assert "order_events_without_gaps" in refusal_of(event(), **event_values(order))


def test_the_history_ends_where_the_order_stands(order):
    assert "order_total_is_told" in refusal_of(event(total="total_amount + 1"), TOLD, **event_values(order))
    assert "order_paid_is_told" in refusal_of(event(paid="1"), TOLD, **event_values(order))


# The order's life


def test_a_closed_order_is_not_opened_again(order, environment):
    services.close_order(order_id=order.id, actor=system(environment.id))

    said = refusal_of("UPDATE orders_order SET status = 'open' WHERE id = %(order)s", order=order.id)

    assert "order_status_moves_forward" in said


def test_the_tip_that_settled_is_within_the_tip(order):
    said = refusal_of(
        "UPDATE orders_order SET settled_tip_amount = tip_amount + 1 WHERE id = %(order)s", order=order.id
    )

    assert "order_tip_settled_within_tip" in said


def test_what_the_services_do_is_let_through(order, environment):
    actor = system(environment.id)
    services.update_line_item(
        order_id=order.id, line_item_id=order.line_items.get().id, data={"quantity": 5}, actor=actor
    )
    services.remove_charge(order_id=order.id, charge_id=order.charges.get().id, actor=actor)
    services.remove_discounts(order_id=order.id, discount_ids=[order.discounts.get().id], actor=actor)
    services.close_order(order_id=order.id, actor=actor)

    with nothing_moves():
        run("SELECT flint_check_order(%(order)s)", order=order.id)
