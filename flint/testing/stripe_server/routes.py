"""The calls of the API: where each is, what it takes, and what it is called in plans of misfortune."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from flint.testing.stripe_server import forms, shapes
from flint.testing.stripe_server.clock import DAY
from flint.testing.stripe_server.errors import invalid, missing
from flint.testing.stripe_server.showing import check_expand

REMEMBERED_FOR = 30 * DAY
"""How far back events are listed, and can be asked for."""

Answer = dict[str, Any]
Perform = Callable[..., Answer]


def _create(kind: str, verb: str) -> Perform:
    def perform(account: Any, params: dict[str, Any]) -> Answer:
        expand = check_expand(kind, params.pop("expand", []))
        return account.book.show(getattr(account.book, verb)(params), expand)

    return perform


def _on(kind: str, find: str, verb: str = "") -> Perform:
    """Return a call about one object: show it, or do something with it first."""

    def perform(account: Any, params: dict[str, Any], id: str) -> Answer:
        expand = check_expand(kind, params.pop("expand", []))
        thing = getattr(account.book, find)(id)
        if verb:
            thing = getattr(account.book, verb)(thing, params)
        return account.book.show(thing, expand)

    return perform


def _list(kind: str, url: str, name: str, filters: tuple[str, ...] = ()) -> Perform:
    def perform(account: Any, params: dict[str, Any]) -> Answer:
        found = [_raw(thing) for thing in getattr(account.book, name).values()]
        wanted = {name: params[name] for name in filters if name in params}
        return _page(account, kind, url, [thing for thing in found if wanted.items() <= thing.items()], params)

    return perform


def _get_customer(account: Any, params: dict[str, Any], id: str) -> Answer:
    return dict(account.book.find_customer(id))


def _attach(account: Any, params: dict[str, Any], id: str) -> Answer:
    expand = check_expand("payment_method", params.pop("expand", []))
    return account.book.show(account.book.attach_method(id, params), expand)


def _detach(account: Any, params: dict[str, Any], id: str) -> Answer:
    expand = check_expand("payment_method", params.pop("expand", []))
    return account.book.show(account.book.detach_method(account.book.find_method(id)), expand)


def _list_movements(account: Any, params: dict[str, Any]) -> Answer:
    book = account.book
    wanted = {name: params[name] for name in ("currency", "source", "type") if name in params}
    found = [move for move in book.movements.values() if wanted.items() <= move.items()]
    if payout := params.get("payout"):
        if not book.find_payout(payout)["automatic"]:
            # Stripe cannot tell what a payout by hand paid out; whether it refuses or shows nothing is not documented.
            raise invalid("Balance transaction history can only be filtered on automatic transfers.", param="payout")
        found = [move for move in found if book.paid_out.get(move["id"]) == payout]
    return _page(account, "balance_transaction", "/v1/balance_transactions", found, params)


def _list_events(account: Any, params: dict[str, Any]) -> Answer:
    patterns = params.get("types") or [params.get("type", "*")]
    oldest = account.book.clock.now() - REMEMBERED_FOR
    found = [
        event
        for event in account.webhooks.events
        if event["created"] >= oldest and any(fnmatchcase(event["type"], pattern) for pattern in patterns)
    ]
    if "delivery_success" in params:
        found = [event for event in found if (event["pending_webhooks"] == 0) is params["delivery_success"]]
    return _page(account, "event", "/v1/events", found, params)


def _get_event(account: Any, params: dict[str, Any], id: str) -> Answer:
    for event in account.webhooks.events:
        if event["id"] == id and event["created"] >= account.book.clock.now() - REMEMBERED_FOR:
            return event
    raise missing("event", id, param="id")


def _balance(account: Any, params: dict[str, Any]) -> Answer:
    return account.book.balance()


@dataclass(frozen=True)
class Route:
    """One call."""

    method: str
    pattern: str
    name: str
    perform: Perform
    takes: dict[str, Any]
    required: tuple[str, ...] = ()

    def call(self, sent: dict[str, Any]) -> str:
        """Return its name; a creation that does not confirm moves nothing and has none."""
        return "create" if self.name == "confirm" and not (sent.get("confirm") or "pi_" in self.pattern) else self.name


ID = "([^/]+)"
PI, SETI = "/v1/payment_intents", "/v1/setup_intents"
PI_ID = f"{PI}/(pi_\\w+|[^/]+)"
INTENT, SETUP = ("payment_intent", "find_payment"), ("setup_intent", "find_setup")
ROUTES = [
    Route(
        "POST", PI, "confirm", _create("payment_intent", "create_intent"), forms.CREATE_INTENT, ("amount", "currency")
    ),
    Route("GET", PI, "list", _list("payment_intent", PI, "payments", ("customer",)), forms.LIST_INTENTS),
    Route("GET", PI_ID, "retrieve", _on(*INTENT), forms.RETRIEVE),
    Route("POST", f"{PI_ID}/confirm", "confirm", _on(*INTENT, "confirm_intent"), forms.CONFIRM_INTENT),
    Route("POST", f"{PI_ID}/capture", "capture", _on(*INTENT, "capture_intent"), forms.CAPTURE_INTENT),
    Route("POST", f"{PI_ID}/cancel", "cancel", _on(*INTENT, "cancel_intent"), forms.CANCEL_INTENT),
    Route("POST", "/v1/refunds", "refund", _create("refund", "create_refund"), forms.CREATE_REFUND),
    Route(
        "GET",
        "/v1/refunds",
        "list",
        _list("refund", "/v1/refunds", "refunds", ("charge", "payment_intent")),
        forms.LIST_REFUNDS,
    ),
    Route("GET", f"/v1/refunds/{ID}", "retrieve", _on("refund", "find_refund"), forms.RETRIEVE),
    Route("POST", "/v1/customers", "customer", _create("customer", "create_customer"), forms.CREATE_CUSTOMER),
    Route("GET", f"/v1/customers/{ID}", "retrieve", _get_customer, forms.RETRIEVE),
    Route("GET", f"/v1/confirmation_tokens/{ID}", "retrieve", _on("token", "find_token"), forms.RETRIEVE),
    Route("GET", f"/v1/payment_methods/{ID}", "retrieve", _on("payment_method", "find_method"), forms.RETRIEVE),
    Route("POST", f"/v1/payment_methods/{ID}/attach", "attach", _attach, forms.ATTACH, ("customer",)),
    Route("POST", f"/v1/payment_methods/{ID}/detach", "detach", _detach, forms.RETRIEVE),
    Route("POST", SETI, "setup", _create("setup_intent", "create_setup"), forms.CREATE_SETUP),
    Route(
        "GET", SETI, "list", _list("setup_intent", SETI, "setups", ("customer", "payment_method")), forms.LIST_SETUPS
    ),
    Route("GET", f"{SETI}/{ID}", "retrieve", _on(*SETUP), forms.RETRIEVE),
    Route("POST", f"{SETI}/{ID}/confirm", "setup", _on(*SETUP, "confirm_setup"), forms.CONFIRM_SETUP),
    Route("POST", f"{SETI}/{ID}/cancel", "setup", _on(*SETUP, "cancel_setup"), forms.CANCEL_SETUP),
    Route(
        "GET",
        "/v1/disputes",
        "list",
        _list("dispute", "/v1/disputes", "disputes", ("charge", "payment_intent")),
        forms.LIST_DISPUTES,
    ),
    Route("GET", f"/v1/disputes/{ID}", "retrieve", _on("dispute", "find_dispute"), forms.RETRIEVE),
    Route("GET", "/v1/balance_transactions", "list", _list_movements, forms.LIST_MOVEMENTS),
    Route(
        "GET",
        f"/v1/balance_transactions/{ID}",
        "retrieve",
        _on("balance_transaction", "find_movement"),
        forms.RETRIEVE,
    ),
    Route(
        "GET",
        "/v1/payouts",
        "list",
        _list("payout", "/v1/payouts", "payouts", ("destination", "status")),
        forms.LIST_PAYOUTS,
    ),
    Route("GET", f"/v1/payouts/{ID}", "retrieve", _on("payout", "find_payout"), forms.RETRIEVE),
    Route("GET", "/v1/events", "list", _list_events, forms.LIST_EVENTS),
    Route("GET", f"/v1/events/{ID}", "retrieve", _get_event, forms.RETRIEVE),
    Route("GET", "/v1/balance", "balance", _balance, {}),
]


def find_route(method: str, path: str) -> tuple[Route, list[str]]:
    """Return a call and the ids in its address. :raises ApiError: if there is no such call."""
    for route in ROUTES:
        if route.method == method and (match := re.fullmatch(route.pattern, path)):
            return route, list(match.groups())
    raise invalid(f"Unrecognized request URL ({method}: {path}).", status=404)


def _raw(thing: Any) -> dict[str, Any]:
    return thing if isinstance(thing, dict) else thing.intent


def _page(account: Any, kind: str, url: str, things: list[dict[str, Any]], params: dict[str, Any]) -> Answer:
    """Return a part of a list that is given oldest first and shown newest first."""
    expand = check_expand(kind, params.get("expand", []), is_list=True)
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise invalid("Limit is between 1 and 100.", param="limit", code="parameter_invalid_integer")
    newest = [thing for thing in reversed(things) if _was_made_within(thing["created"], params.get("created"))]
    if after := params.get("starting_after"):
        newest = newest[_position(newest, after, "starting_after") + 1 :]
    if before := params.get("ending_before"):
        newest = newest[: _position(newest, before, "ending_before")][-limit:]
    shown = [account.book.show(thing, expand) for thing in newest[:limit]]
    return shapes.page(url, shown, has_more=len(newest) > limit)


def _position(things: Iterable[dict[str, Any]], id: str, param: str) -> int:
    for position, thing in enumerate(things):
        if thing["id"] == id:
            return position
    raise invalid(f"No such object: '{id}'", param=param, code="resource_missing")


def _was_made_within(created: int, window: int | dict[str, int] | None) -> bool:
    if window is None or isinstance(window, int):
        return window in (None, created)
    tests = {"gt": created.__gt__, "gte": created.__ge__, "lt": created.__lt__, "lte": created.__le__}
    return all(tests[name](bound) for name, bound in window.items())
