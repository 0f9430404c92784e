"""The explanation of an order: figures, each with the terms that sum to it exactly."""

from typing import Any

from flint.api.fields import EnumField, IdField, ListOf, SignedMoneyField, StrictInteger, StrictString, TimestampField
from flint.api.queries import Query
from flint.api.serializers import Output
from flint.events.models import Event
from flint.money import Money
from orders.api.activities import activity_type_of, describe
from orders.api.views import OrderRoute
from orders.explaining import Explanation, Rounding, Term, explain_order
from orders.explaining.explain import COLUMNS


class ExplanationQuery(Query):
    """Of which moment to explain the order."""

    as_of = TimestampField(required=False, code="INVALID_AS_OF")


class ResourceOutput(Output):
    """The row that a term is of."""

    resource_type = StrictString()
    resource_id = StrictString()


class TermEventOutput(Output):
    """The event that brought a term about, as the history of the order tells it."""

    order_activity_id = IdField("oac")
    activity_type = StrictString(required=False)
    description = StrictString()
    created_at = TimestampField()


class RoundingOutput(Output):
    """
    What rounding added to the amount, or took from it: ``numerator / denominator`` of a minor unit.

    The amount less this fraction is what the calculation gives exactly. Left out where nothing was rounded.
    """

    method = EnumField(["half_up", "largest_remainder"])
    numerator = StrictInteger()
    denominator = StrictInteger(minimum=1)


class TermOutput(Output):
    """One term of a figure. ``included_tax_money`` is tax that is in the price already, so it adds nothing."""

    kind = StrictString()
    amount_money = SignedMoneyField()
    resource = ResourceOutput()
    applies_to = ResourceOutput(required=False)
    event = TermEventOutput(required=False)
    name = StrictString(required=False)
    quantity = StrictInteger(required=False)
    unit_price_money = SignedMoneyField(required=False)
    modifier_total_money = SignedMoneyField(required=False)
    included_tax_money = SignedMoneyField(required=False)
    rounding = RoundingOutput(required=False)


class FigureOutput(Output):
    """An amount of the order and what it is the sum of, to the minor unit."""

    figure = EnumField(list(COLUMNS))
    amount_money = SignedMoneyField()
    terms = ListOf(TermOutput())


class OrderExplanationOutput(Output):
    """Why an order owes what it owes. Each amount is worked out from its rows and from its ledger, and they agree."""

    order_id = IdField("ord")
    order_revision = StrictInteger(minimum=1)
    as_of = TimestampField(required=False)
    figures = ListOf(FigureOutput())


class OrderExplanation(OrderRoute):
    queries = {"GET": ExplanationQuery}
    outputs = {"GET": OrderExplanationOutput}
    codes = {"GET": ["ORDER_NOT_FOUND", "ORDER_NOT_CREATED_YET"]}
    names = {"GET": "explain_order"}

    def get(self, request, order_id):
        """
        Explain why an order owes what it owes, now or as of a moment.

        Each figure comes with its terms, which sum to it exactly: the row and the event that each is of, and what
        rounding added or took. An addition of this platform to the published API.
        """
        moment = self.query(ExplanationQuery).values.get("as_of")
        explanation = explain_order(order_id, actor=request.actor, at=moment)
        return self.reply(OrderExplanationOutput(shown(explanation)))


def shown(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as its output takes it."""
    order = explanation.order
    figures = [
        {
            "figure": figure.name,
            "amount_money": order.money(figure.amount),
            "terms": [_term(term, order.money) for term in figure.terms],
        }
        for figure in explanation.figures
    ]
    return {
        "order_id": order.id,
        "order_revision": order.order_revision,
        "as_of": explanation.as_of,
        "figures": figures,
    }


def _term(term: Term, money: Any) -> dict[str, Any]:
    return {
        "kind": term.kind,
        "amount_money": money(term.amount),
        "resource": {"resource_type": term.resource_type, "resource_id": term.resource_id},
        "applies_to": _part(term.part),
        "event": _event(term.event),
        "name": term.name or None,
        "quantity": term.quantity,
        "unit_price_money": _money(money, term.unit_price_amount),
        "modifier_total_money": _money(money, term.modifier_total_amount),
        "included_tax_money": _money(money, term.included_amount),
        "rounding": _rounding(term.rounding),
    }


def _money(money: Any, amount: int | None) -> Money | None:
    return None if amount is None else money(amount)


def _part(part: tuple[str, str] | None) -> dict[str, str] | None:
    return {"resource_type": part[0], "resource_id": part[1]} if part else None


def _event(event: Event | None) -> dict[str, Any] | None:
    if event is None:
        return None
    return {
        "order_activity_id": event.id.replace("evt_", "oac_"),
        "activity_type": activity_type_of(event),
        "description": describe(event),
        "created_at": event.created_at,
    }


def _rounding(rounding: Rounding | None) -> dict[str, Any] | None:
    if rounding is None:
        return None
    return {"method": rounding.method, "numerator": rounding.numerator, "denominator": rounding.denominator}
