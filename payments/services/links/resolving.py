"""Making an order of a link and of what its buyer chose, with a hosted session to pay it in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from flint.actors import Actor
from flint.api import metadata as limits
from flint.errors import Conflict, InvalidInput, Unavailable
from flint.events import services as events
from flint.money import Money
from orders.models import Order
from orders.models.orders import Origin
from orders.services.create_order import create_order
from payments.models import CheckoutSession, PaymentLink, PaymentLinkOrder
from payments.models.links import money_in
from payments.services.links.context import check_context
from payments.services.sessions.ending import save_counts
from payments.services.sessions.launching import create_session
from payments.services.starting import ProcessorNotConfigured

DONATION_KEY = "donation"
"""What a donor's amount is keyed by in ``unit_price_overrides``: a donation has no line to name."""

LARGEST_QUANTITY = 1_000_000


class PaymentLinkInactive(Conflict):
    code = "PAYMENT_LINK_INACTIVE"
    message = "The payment link is not in use."


class PaymentLinkMaxCompletionsReached(Conflict):
    code = "PAYMENT_LINK_MAX_COMPLETIONS_REACHED"
    message = "The payment link has been paid as often as it may be."


class PaymentLinkResolutionUnavailable(Unavailable):
    code = "PAYMENT_LINK_RESOLUTION_UNAVAILABLE"
    message = "The merchant cannot take payments at the moment."


class WrongChoice(InvalidInput):
    """Something that the buyer chose or typed does not go with the link; ``code`` says what, ``param`` where."""

    code = "INVALID_REQUEST"


@dataclass(frozen=True, slots=True)
class Resolved:
    """The session to go on in, and its buyer's secret; none for a repeat, whose secret was handed out before."""

    session: CheckoutSession
    checkout_auth_token: str | None


def refuse_unusable(link: PaymentLink) -> None:
    """:raises PaymentLinkInactive, PaymentLinkMaxCompletionsReached: if nothing can be ordered by a link now."""
    if not link.is_active:
        raise PaymentLinkInactive(current_status=link.status)
    if link.is_full:
        raise PaymentLinkMaxCompletionsReached(limit=link.max_completions)


def resolve_link(
    *, payment_link_id: str, data: Mapping[str, Any], actor: Actor, at: datetime, command_key: str = ""
) -> Resolved:
    """
    Make an order of a link and open a hosted session on it.

    ``data`` is a validated request of the contract. A ``command_key`` that this link has seen before leads to the order
    that was made then, in whatever state it is.

    :raises PaymentLinkNotFound, PaymentLinkInactive, PaymentLinkMaxCompletionsReached: by the link.
    :raises ResolutionContextInvalid, ResolutionContextRefreshRequired, PaymentLinkChangedRetry: by what was looked at.
    :raises WrongChoice: by what was chosen. :raises PaymentLinkResolutionUnavailable: if nobody could collect.
    """
    link = PaymentLink.objects.of(actor).find(id=payment_link_id)
    if repeated := _made_before(link, command_key):
        return repeated
    try:
        with transaction.atomic():
            return _resolve(link, data, actor, at, command_key)
    except IntegrityError:
        # Another click on the same form was faster, and this one waited for it to commit.
        if repeated := _made_before(link, command_key):
            return repeated
        raise


def _made_before(link: PaymentLink, command_key: str) -> Resolved | None:
    if not command_key:
        return None
    made = PaymentLinkOrder.objects.filter(link_id=link.id, command_key=command_key).order_by("id").first()
    if made is None:
        return None
    return Resolved(CheckoutSession.objects.filter(order_id=made.order_id).order_by("-created_at", "-id")[0], None)


def _resolve(link: PaymentLink, data: Mapping[str, Any], actor: Actor, at: datetime, command_key: str) -> Resolved:
    refuse_unusable(link)
    check_context(link, data["resolution_context"], at=at)
    order = _order_of(link, data, actor)
    made = PaymentLinkOrder(environment_id=link.environment_id, link=link, order_id=order.id, command_key=command_key)
    made.save(force_insert=True)
    order = Order.objects.of(actor).lock(id=order.id)
    events.record(order, "payment_link.resolved", subject=link, actor=actor, name=link.name)
    save_counts(order)
    try:
        launched = create_session(
            data={"order_id": order.id, **link.settings}, actor=actor, origin=Origin.PAYMENT_LINK, payment_link=link
        )
    except ProcessorNotConfigured:
        raise PaymentLinkResolutionUnavailable from None
    return Resolved(launched.session, launched.checkout_auth_token)


def _order_of(link: PaymentLink, data: Mapping[str, Any], actor: Actor) -> Order:
    answers = {
        f"custom_field_{key}": value for key, value in answers_of(link, data.get("custom_field_values", {})).items()
    }
    wanted: dict[str, Any] = {"line_items": lines_of(link, data), "metadata": {**link.metadata, **answers}}
    if problem := limits.size_problem_of(wanted["metadata"]):
        raise WrongChoice(problem[1], code=problem[0], param="custom_field_values")
    if link.settings.get("tax", {}).get("enabled") is False:
        wanted["tax"] = {"enabled": False}
    return create_order(actor=actor, data=wanted, origin=Origin.PAYMENT_LINK)[0]


def lines_of(link: PaymentLink, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a buyer orders by a link, as lines. :raises WrongChoice: if the choices do not fit it."""
    quantities, prices = data.get("quantity_overrides", {}), data.get("unit_price_overrides", {})
    keys = {DONATION_KEY} if link.is_donation else {line["key"] for line in link.line_items}
    for name, chosen in (("quantity_overrides", quantities), ("unit_price_overrides", prices)):
        for key in chosen:
            if key not in keys:
                raise WrongChoice("The link has no such line.", code="UNKNOWN_LINE_ITEM_KEY", param=f"{name}.{key}")
    if link.is_donation:
        if DONATION_KEY in quantities:
            raise WrongChoice(
                "A donation has no quantity.", code="QUANTITY_NOT_ADJUSTABLE", param="quantity_overrides.donation"
            )
        given = _donation_of(link, prices.get(DONATION_KEY))
        return [{"name": link.name, "quantity": 1, "unit_price_money": given, "tax": {"taxable": False}}]
    return [_line_of(line, quantities.get(line["key"]), prices.get(line["key"])) for line in link.line_items]


def _line_of(line: Mapping[str, Any], quantity: int | None, price: Money | None) -> dict[str, Any]:
    wanted = {
        "name": line["name"],
        "quantity": _quantity_of(line, quantity),
        "unit_price_money": _price_of(line, price),
        "description": line.get("description", ""),
    }
    return wanted | ({"tax": line["tax"]} if line.get("tax") else {})


def _quantity_of(line: Mapping[str, Any], chosen: int | None) -> int:
    param = f"quantity_overrides.{line['key']}"
    if chosen is None or chosen == line["quantity"]:
        return line["quantity"]
    if not line.get("allow_quantity_adjustment"):
        raise WrongChoice("The quantity is fixed.", code="QUANTITY_NOT_ADJUSTABLE", param=param)
    low, high = line.get("min_quantity") or 1, line.get("max_quantity") or LARGEST_QUANTITY
    if chosen < low:
        raise WrongChoice(f"The quantity is at least {low}.", code="QUANTITY_BELOW_MIN", param=param)
    if chosen > high:
        raise WrongChoice(f"The quantity is at most {high}.", code="QUANTITY_ABOVE_MAX", param=param)
    return chosen


def _price_of(line: Mapping[str, Any], chosen: Money | None) -> Money:
    param, fixed = f"unit_price_overrides.{line['key']}", money_in(line, "unit_price_money")
    if not line.get("allow_unit_price_adjustment"):
        if chosen is not None and chosen != fixed:
            raise WrongChoice("The price is fixed.", code="AMOUNT_NOT_ADJUSTABLE", param=param)
        return fixed
    if chosen is None:
        chosen = fixed
    if chosen is None:
        raise WrongChoice("Name the amount.", code="AMOUNT_REQUIRED", param=param)
    return _within(chosen, line, "min_unit_price_money", "max_unit_price_money", param)


def _donation_of(link: PaymentLink, chosen: Money | None) -> Money:
    param = f"unit_price_overrides.{DONATION_KEY}"
    if chosen is None:
        raise WrongChoice("Name the amount of the donation.", code="DONATION_AMOUNT_REQUIRED", param=param)
    if not chosen.amount:
        raise WrongChoice("A donation is more than nothing.", code="INVALID_DONATION_AMOUNT", param=param)
    if link.currency and chosen.currency != link.currency:
        raise WrongChoice("Name the amount in the link's currency.", code="CURRENCY_MISMATCH", param=param)
    return _within(chosen, link.donation, "donation_min_amount_money", "donation_max_amount_money", param)


def _within(chosen: Money, bounds: Mapping[str, Any], lowest: str, highest: str, param: str) -> Money:
    low, high = money_in(bounds, lowest), money_in(bounds, highest)
    expected = next((each.currency for each in (low, high, money_in(bounds, "unit_price_money")) if each), None)
    if expected and chosen.currency != expected:
        raise WrongChoice("Name the amount in the link's currency.", code="CURRENCY_MISMATCH", param=param)
    if low and chosen < low:
        raise WrongChoice(f"The amount is at least {low}.", code="AMOUNT_BELOW_MIN", param=param, minimum_money=low)
    if high and chosen > high:
        raise WrongChoice(f"The amount is at most {high}.", code="AMOUNT_ABOVE_MAX", param=param, maximum_money=high)
    return chosen


def answers_of(link: PaymentLink, given: Mapping[str, str | bool]) -> dict[str, str]:
    """Return the answers to a link's custom fields, by key. :raises WrongChoice: if one is missing or does not fit."""
    known = {field["key"] for field in link.custom_fields}
    for key in given:
        if key not in known:
            raise WrongChoice(
                "The link has no such field.", code="UNKNOWN_CUSTOM_FIELD_KEY", param=f"custom_field_values.{key}"
            )
    answers = {}
    for field in link.custom_fields:
        answer = _answer_of(field, given.get(field["key"], ""))
        if answer:
            answers[field["key"]] = answer
    return answers


def _answer_of(field: Mapping[str, Any], given: str | bool) -> str:
    param, kind = f"custom_field_values.{field['key']}", field["custom_field_type"]
    if isinstance(given, bool):
        given = "true" if given else "false"
    if kind == "checkbox" and given not in ("", "true", "false"):
        raise WrongChoice("A checkbox is true or false.", code="INVALID_CHECKBOX_VALUE", param=param)
    if field["required"] and (not given.strip() or (kind == "checkbox" and given != "true")):
        raise WrongChoice("This field has to be filled in.", code="REQUIRED_CUSTOM_FIELD_MISSING", param=param)
    if kind == "dropdown" and given and given not in field["options"]:
        raise WrongChoice("This is none of the options.", code="INVALID_DROPDOWN_VALUE", param=param)
    if len(given) > field.get("max_length", len(given)):
        raise WrongChoice("The answer is too long.", code="CUSTOM_FIELD_VALUE_TOO_LONG", param=param)
    return given
