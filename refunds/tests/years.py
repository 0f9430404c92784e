"""
A random year of a merchant: orders with every kind of thing that happens to them, made by the real services.

Services date what happens by the clock. So the year is made first and then spread out: the dates of its events are
moved, in their order, and whatever carries an event's date moves with it.
"""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from flint.errors import FlintError
from flint.merchants.models import Environment
from flint.money import Money
from flint.testing import stories
from orders import services
from orders.models import Order
from orders.services.manual_payments import record_manual_payment, reverse_manual_payment
from payments.processors.base import Refused
from payments.processors.sandbox import dashboard
from payments.tests.acts import reference_of
from payments.tests.test_balance import sync

YEAR = 2025
ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe")
"""Clocks that go forward and back, on different days, at different hours, and in the last one by half an hour."""

CITY = {"code": "ny-nyc", "country": "US", "level": "city", "name": "New York City", "state": "NY"}
STATE = {"code": "ny", "country": "US", "level": "state", "name": "New York", "state": "NY"}


class Year:
    """So many orders of one environment; the same seed does the same."""

    def __init__(self, environment: Environment, seed: int):
        self.environment, self.random = environment, random.Random(seed)
        self.actor = stories.actor_in(environment)
        self.done: dict[str, int] = {}

    def live(self, orders: int) -> "Year":
        """Let everything happen, and then spread it over the year."""
        for number in range(orders):
            self._order()
            if number % 50 == 49:
                stories.deliver_notices(self.environment)
                sync(self.environment)
        stories.deliver_notices(self.environment)
        sync(self.environment)
        spread(self.environment, self.random)
        return self

    def _order(self) -> None:
        currency = self.random.choice(["EUR", "EUR", "EUR", "USD", "JPY"])
        order = stories.open_order(self.environment, *self._lines(currency), currency=currency)
        for _ in range(self.random.choice([0, 0, 1, 2])):
            self._try("edit", order, self._edit)
        act = self.random.choices([self._pay, self._by_hand, self._close, self._leave], weights=[70, 10, 8, 12], k=1)[0]
        self._try(act.__name__, order, act)

    def _try(self, name: str, order: Order, act) -> None:
        """Do something; that it is refused is a part of life, and must move nothing."""
        try:
            act(Order.objects.get(id=order.id))
        except (FlintError, Refused):
            name = f"{name} refused"
        self.done[name] = self.done.get(name, 0) + 1

    # What is sold

    def _lines(self, currency: str) -> list[dict]:
        return [self._line(currency) for _ in range(self.random.randint(1, 3))]

    def _line(self, currency: str) -> dict:
        more = {}
        if self.random.random() < 0.5:
            components = [
                {"jurisdiction": place, "percent": percent, "tax_type": "sales_tax"}
                for place, percent in self.random.sample([(CITY, 45_000), (STATE, 40_000), (CITY, 88_750)], 2)
            ]
            mode = self.random.choice(["additive", "inclusive"])
            more["tax"] = {"calculation": {"mode": "external", "price_mode": mode, "components": components}}
        amount = self.random.randint(100, 20_000)
        name = self.random.choice(["Cup", "Tea", "=Bowl", 'A "good", pot'])
        return stories.line(amount, currency=currency, quantity=self.random.randint(1, 4), name=name, **more)

    def _edit(self, order: Order) -> None:
        line = self.random.choice(list(order.line_items.all()))
        some = Money(self.random.randint(1, 900), order.currency)
        match self.random.randrange(5):
            case 0:
                change = {"quantity": self.random.randint(1, 6)}
                services.update_line_item(order_id=order.id, line_item_id=line.id, data=change, actor=self.actor)
            case 1:
                services.add_line_items(order_id=order.id, line_items=self._lines(order.currency), actor=self.actor)
            case 2:
                charge = {"name": "Post", "type": "shipping_fee", "amount_money": some}
                services.add_charge(order_id=order.id, charge=charge, actor=self.actor)
            case 3:
                manual = {"name": "Gift", "amount_money": some}
                services.apply_discount(order_id=order.id, manual=manual, actor=self.actor)
            case _:
                tip = {"requested_tip": {"amount_money": some}}
                services.update_order(order_id=order.id, data=tip, actor=self.actor)

    # What comes of it

    def _pay(self, order: Order) -> None:
        if self.random.random() < 0.1:
            stories.pay(order, token="pm_card_chargeDeclined")
        stories.pay(order)
        after = [self._refund, self._refund, self._refund, self._fail_to_refund, self._refund_there, self._dispute]
        after += [self._add_more, self._leave, self._leave, self._leave]
        for _ in range(self.random.choice([0, 1, 1, 2, 3])):
            act = self.random.choice(after)
            self._try(act.__name__, order, act)

    def _some_of(self, order: Order, most: int) -> Money:
        return Money(self.random.randint(1, max(most, 1)), order.currency)

    def _refund(self, order: Order) -> None:
        part = {"amount_money": self._some_of(order, order.net_collected_amount)} if self.random.random() < 0.7 else {}
        if self.random.random() < 0.2:
            part["balance_effect"] = "reopen"
        stories.refund(order, **part)

    def _fail_to_refund(self, order: Order) -> None:
        refund = stories.refund(order, amount_money=self._some_of(order, order.net_collected_amount))
        leg = refund.legs.get()
        dashboard.fail_refund(environment_id=order.environment_id, reference=leg.reference)
        stories.deliver_notices(self.environment)

    def _refund_there(self, order: Order) -> None:
        money = self._some_of(order, order.net_collected_amount)
        dashboard.refund(environment_id=order.environment_id, reference=reference_of(order), money=money)
        stories.deliver_notices(self.environment)

    def _dispute(self, order: Order) -> None:
        opened = dashboard.open_dispute(environment_id=order.environment_id, reference=reference_of(order))
        stories.deliver_notices(self.environment)
        end = self.random.choice([dashboard.win, dashboard.lose])
        end(environment_id=order.environment_id, reference=opened.reference)
        stories.deliver_notices(self.environment)

    def _add_more(self, order: Order) -> None:
        services.add_line_items(order_id=order.id, line_items=self._lines(order.currency), actor=self.actor)

    def _by_hand(self, order: Order) -> None:
        paid = self._some_of(order, order.outstanding_amount)
        record_manual_payment(order_id=order.id, money=paid, actor=self.actor, note="Cash")
        if self.random.random() < 0.3:
            back = self._some_of(order, paid.amount)
            reverse_manual_payment(order_id=order.id, money=back, actor=self.actor, note="Bounced")

    def _close(self, order: Order) -> None:
        services.close_order(order_id=order.id, actor=self.actor)

    def _leave(self, order: Order) -> None:
        """Let it be."""


def edges() -> list[datetime]:
    """Return when months begin and clocks change, by each zone: where a fact might fall into two periods, or none."""
    found = []
    for name in (*ZONES, "UTC"):
        zone = ZoneInfo(name)
        found += [datetime(YEAR, month, 1, tzinfo=zone).astimezone(UTC) for month in range(1, 13)]
        hour = datetime(YEAR, 1, 1, tzinfo=UTC)
        while hour.year == YEAR:
            after = hour + timedelta(hours=1)
            if hour.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
                found.append(after)
            hour = after
    return found


def spread(environment: Environment, chance: random.Random) -> None:
    """Move the events of each order over the year, and all that is dated by them; many to just beside an edge."""
    beside = edges()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "SELECT id, COALESCE(order_id, id), sequence FROM events_event WHERE environment_id = %s"
            " ORDER BY 2, sequence",
            [environment.id],
        )
        ids, moments, at, last = [], [], datetime(YEAR, 1, 1, tzinfo=UTC), None
        for event_id, order_id, _ in cursor.fetchall():
            if order_id != last:
                at = datetime(YEAR, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(365 * 86_400))
            else:
                at += timedelta(seconds=chance.choice([0, 1, 3_600, 86_400 * 3, 86_400 * 20]))
            if chance.random() < 0.15 and (later := [edge for edge in beside if edge >= at]):
                # Never before what came before it: no clock runs backwards.
                at = max(at, min(later) + timedelta(microseconds=chance.choice([-1, 0, 1])))
            at = min(at, datetime(YEAR + 1, 1, 30, tzinfo=UTC))
            ids.append(event_id)
            moments.append(at)
            last = order_id
        cursor.execute(
            "UPDATE events_event SET created_at = moved.at FROM unnest(%s::text[], %s::timestamptz[]) AS moved (id, at)"
            " WHERE events_event.id = moved.id",
            [ids, moments],
        )
        cursor.execute(
            "UPDATE orders_ledgerentry entry SET created_at = event.created_at FROM events_event event"
            " WHERE event.id = entry.event_id AND entry.environment_id = %s",
            [environment.id],
        )
        cursor.execute(
            "UPDATE orders_order o SET created_at = event.created_at FROM events_event event"
            " WHERE event.order_id = o.id AND event.sequence = 1 AND o.environment_id = %s",
            [environment.id],
        )
        cursor.execute(
            """
            WITH told AS (
                SELECT order_id, recorded_at, (changes ->> 'event_count')::int AS sequence FROM orders_rowversion
                WHERE environment_id = %s AND model = 'orders.order' AND changes ? 'event_count'
            )
            UPDATE orders_rowversion version
            SET recorded_at = event.created_at + told.sequence * interval '1 microsecond'
            FROM told JOIN events_event event ON event.order_id = told.order_id AND event.sequence = told.sequence
            WHERE version.order_id = told.order_id AND version.recorded_at = told.recorded_at
            """,
            [environment.id],
        )
        for table in ("payments_balancetransaction", "payments_payout"):
            cursor.execute(
                f"UPDATE {table} moved SET created_at = event.created_at FROM events_event event"
                " WHERE event.subject_id = moved.id AND event.type IN ('balance_transaction.created', 'payout.created')"
                " AND moved.environment_id = %s",
                [environment.id],
            )
