"""The routes of orders and their customers. Each verb calls one service and answers with the order read afresh."""

from typing import Any

from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.views import ApiView, CheckoutSessionScopeMismatch
from flint.errors import Forbidden
from flint.events.models import Event
from orders import selectors, services
from orders.api.activities import OrderActivityOutput
from orders.api.queries import ActivityQuery, CustomerQuery, OrderQuery, ReadCustomerQuery, ReadOrderQuery
from orders.api.serializers.customers import (
    CreateCustomerInput,
    CustomerOutput,
    UpdateCustomerInput,
    load_expanded,
)
from orders.api.serializers.inputs import (
    AddChargeInput,
    AddLineItemsInput,
    ApplyDiscountInput,
    CloseOrderInput,
    CreateOrderInput,
    NothingInput,
    RemoveDiscountsInput,
    UpdateChargeInput,
    UpdateLineItemInput,
    UpdateOrderInput,
)
from orders.api.serializers.orders import OrderOutput
from orders.as_of import read_order_as_of
from orders.models import Customer, Order

EDITED = [
    "ORDER_NOT_FOUND",
    "ORDER_CLOSED",
    "ORDER_PAYMENT_ATTEMPT_ACTIVE",
    "ORDER_TOTAL_BELOW_NET_COLLECTED",
    "INVOICE_LOCKED_ORDER_FINANCIALS",
    "ORDER_FINANCIAL_MUTATION_NOT_ALLOWED",
    "AMOUNT_TOO_LARGE",
    "INVALID_TIP_AMOUNT",
]
TAXED = ["CURRENCY_MISMATCH", "AUTOMATIC_TAX_CONNECTION_REQUIRED"]
PAID_LINE = [
    "PAID_LINE_ITEM_PRICE_CHANGE_FORBIDDEN",
    "PAID_LINE_ITEM_QUANTITY_CHANGE_FORBIDDEN",
    "PAID_LINE_ITEM_QUANTITY_DECREASE_FORBIDDEN",
    "PAID_LINE_ITEM_TAX_CHANGE_FORBIDDEN",
    "PAID_LINE_ITEM_REMOVAL_FORBIDDEN",
]
DISCOUNTED = ["NO_DISCOUNTABLE_BALANCE", "LINE_ITEM_NOT_ON_ORDER", "CHARGE_NOT_ON_ORDER"]


class CheckoutDiscountIdNotAllowed(Forbidden):
    code = "CHECKOUT_DISCOUNT_ID_NOT_ALLOWED"
    message = "A buyer enters the code of a promotion, not its id."


def refuse_promotion_by_id(body: Any) -> None:
    """:raises CheckoutDiscountIdNotAllowed: if a buyer names a promotion otherwise than by its code."""
    promotion = body.get("promotion") if isinstance(body, dict) else None
    if isinstance(promotion, dict) and any(name.endswith("_id") for name in promotion):
        raise CheckoutDiscountIdNotAllowed(param="promotion")


class OrderRoute(ApiView):
    """A route under orders: read with one scope, changed with the other."""

    tag = "Orders"
    scopes = {
        "GET": "commerce.orders.read",
        "POST": "commerce.orders.write",
        "PATCH": "commerce.orders.write",
        "DELETE": "commerce.orders.write",
    }

    def reply_order(self, order_id: str):
        """Answer with an order as it is now."""
        return self.reply(selectors.read_order(order_id, actor=self.request.actor))


class OrderCollection(OrderRoute):
    inputs = {"POST": CreateOrderInput}
    queries = {"GET": OrderQuery}
    outputs = {"GET": [OrderOutput], "POST": OrderOutput}
    statuses = {"POST": 201}
    codes = {"POST": [*TAXED, *DISCOUNTED, "AMOUNT_TOO_LARGE", "INVALID_TIP_AMOUNT", "RESOURCE_NOT_FOUND"]}
    names = {"GET": "list_orders", "POST": "create_order"}

    def get(self, request):
        """
        List orders.

        ``query`` matches an order's number, id, external reference or contact email as a whole, and parts of its
        customer's name and email. ``min_amount`` and ``max_amount`` compare the total.
        """
        page = paginate(selectors.readable(request.actor), self.query(OrderQuery))
        selectors.attach(page.items)
        return self.reply_page(page)

    @idempotent
    def post(self, request):
        """
        Create an order with at least one line item.

        Its currency is that of the first line; all amounts share it.
        """
        order, parts = services.create_order(actor=request.actor, data=self.validated(CreateOrderInput))
        order.environment = request.environment
        return self.reply(selectors.as_created(order, parts))


class OrderView(OrderRoute):
    buyers = ("GET", "PATCH")
    inputs = {"PATCH": UpdateOrderInput}
    queries = {"GET": ReadOrderQuery}
    outputs = {"GET": OrderOutput, "PATCH": OrderOutput}
    codes = {
        "GET": ["ORDER_NOT_FOUND", "ORDER_NOT_CREATED_YET"],
        "PATCH": [
            *EDITED,
            *TAXED,
            "ORDER_CHANGED_REFRESH_REQUIRED",
            "ORDER_CUSTOMER_NOT_CLEARABLE",
            "CHECKOUT_ORDER_UPDATE_FIELD_NOT_ALLOWED",
            "CHECKOUT_TIPPING_DISABLED",
            "CHECKOUT_TIP_NOT_ALLOWED",
            "ORDER_CUSTOMER_CHECKOUT_ACTIVE",
            "ORDER_CUSTOMER_NOT_UPDATABLE_AFTER_PAYMENT",
            "ORDER_TAX_NOT_UPDATABLE_AFTER_PAYMENT",
        ],
    }
    names = {"GET": "get_order", "PATCH": "update_order"}

    def get(self, request, order_id):
        """
        Read an order; with ``as_of``, as it stood at that moment.

        Then it is what this operation answered at that moment, apart from what is for doing now: there is no
        ``payment_collection``, no ``pending_actions`` in an attempt, and an expanded customer is the one of today. A
        moment that is yet to come is refused, one before the order was created is not found.
        """
        moment = self.query(ReadOrderQuery).values.get("as_of")
        if moment is None:
            return self.reply_order(order_id)
        if request.actor.is_buyer:
            raise CheckoutSessionScopeMismatch(param="as_of")
        return self.reply(read_order_as_of(order_id, at=moment, actor=request.actor))

    @idempotent
    def patch(self, request, order_id):
        """
        Change an order's notes, references, customer, tip or taxes.

        What is left out stays as it is. Notes, references and metadata stay open on a closed order.
        """
        services.update_order(order_id=order_id, data=self.validated(UpdateOrderInput), actor=request.actor)
        return self.reply_order(order_id)


class OrderClosing(OrderRoute):
    inputs = {"POST": CloseOrderInput}
    outputs = {"POST": OrderOutput}
    codes = {
        "POST": [
            "ORDER_NOT_FOUND",
            "ORDER_ALREADY_CLOSED",
            "ORDER_PAYMENT_ATTEMPT_ACTIVE",
            "INVOICE_LOCKED_ORDER_FINANCIALS",
        ]
    }
    names = {"POST": "close_order"}

    @idempotent
    def post(self, request, order_id):
        """
        Close an open order.

        Pending discounts lapse and what is still owed is written off, so a closed order owes nothing.
        """
        reason = self.validated(CloseOrderInput).get("reason_message") or ""
        services.close_order(order_id=order_id, reason=reason, actor=request.actor)
        return self.reply_order(order_id)


class LineItemCollection(OrderRoute):
    inputs = {"POST": AddLineItemsInput}
    outputs = {"POST": OrderOutput}
    codes = {"POST": [*EDITED, *TAXED, "TOO_MANY_LINE_ITEMS"]}
    names = {"POST": "add_line_items"}

    @idempotent
    def post(self, request, order_id):
        """Add line items to an order."""
        data = self.validated(AddLineItemsInput)
        services.add_line_items(order_id=order_id, line_items=data["line_items"], actor=request.actor)
        return self.reply_order(order_id)


class LineItemView(OrderRoute):
    inputs = {"PATCH": UpdateLineItemInput}
    outputs = {"PATCH": OrderOutput, "DELETE": OrderOutput}
    codes = {
        "PATCH": [*EDITED, *TAXED, *PAID_LINE, "ORDER_LINE_ITEM_NOT_FOUND", "ORDER_LINE_ITEM_VERSION_CONFLICT"],
        "DELETE": [*EDITED, *PAID_LINE, "ORDER_LINE_ITEM_NOT_FOUND", "ORDER_HAS_NO_LINE_ITEMS"],
    }
    names = {"PATCH": "update_line_item", "DELETE": "remove_line_item"}

    @idempotent
    def patch(self, request, order_id, order_line_item_id):
        """
        Change a line item.

        Once it is paid, only its name, description and metadata can change.
        """
        services.update_line_item(
            order_id=order_id,
            line_item_id=order_line_item_id,
            data=self.validated(UpdateLineItemInput),
            actor=request.actor,
        )
        return self.reply_order(order_id)

    @idempotent
    def delete(self, request, order_id, order_line_item_id):
        """Remove a line item."""
        services.remove_line_item(order_id=order_id, line_item_id=order_line_item_id, actor=request.actor)
        return self.reply_order(order_id)


class ChargeCollection(OrderRoute):
    inputs = {"POST": AddChargeInput}
    outputs = {"POST": OrderOutput}
    codes = {"POST": [*EDITED, *TAXED]}
    names = {"POST": "add_charge"}

    @idempotent
    def post(self, request, order_id):
        """Add a charge to an order."""
        data = self.validated(AddChargeInput)
        services.add_charge(order_id=order_id, charge=data["charge"], actor=request.actor)
        return self.reply_order(order_id)


class ChargeView(OrderRoute):
    inputs = {"PATCH": UpdateChargeInput}
    outputs = {"PATCH": OrderOutput, "DELETE": OrderOutput}
    codes = {
        "PATCH": [*EDITED, *TAXED, "ORDER_CHARGE_NOT_FOUND", "CALCULATION_BASIS_REQUIRED"],
        "DELETE": [*EDITED, "ORDER_CHARGE_NOT_FOUND"],
    }
    names = {"PATCH": "update_charge", "DELETE": "remove_charge"}

    @idempotent
    def patch(self, request, order_id, order_charge_id):
        """Change a charge. A value of the other kind replaces the one it has."""
        services.update_charge(
            order_id=order_id,
            charge_id=order_charge_id,
            data=self.validated(UpdateChargeInput),
            actor=request.actor,
        )
        return self.reply_order(order_id)

    @idempotent
    def delete(self, request, order_id, order_charge_id):
        """Remove a charge."""
        services.remove_charge(order_id=order_id, charge_id=order_charge_id, actor=request.actor)
        return self.reply_order(order_id)


class DiscountCollection(OrderRoute):
    buyers = ("POST",)
    inputs = {"POST": ApplyDiscountInput}
    outputs = {"POST": OrderOutput}
    codes = {
        "POST": [
            *EDITED,
            *DISCOUNTED,
            "CURRENCY_MISMATCH",
            "CHECKOUT_MANUAL_DISCOUNT_NOT_ALLOWED",
            "CHECKOUT_DISCOUNT_ID_NOT_ALLOWED",
        ]
    }
    names = {"POST": "apply_discount"}

    @idempotent
    def post(self, request, order_id):
        """
        Apply a discount to an order.

        A buyer may enter a promotion code, and nothing else; this installation has no promotions yet.
        """
        if request.actor.is_buyer:
            refuse_promotion_by_id(self.payload())
        data = self.validated(ApplyDiscountInput)
        services.apply_discount(order_id=order_id, manual=data["manual"], actor=request.actor)
        return self.reply_order(order_id)


class DiscountRemoval(OrderRoute):
    buyers = ("POST",)
    inputs = {"POST": RemoveDiscountsInput}
    outputs = {"POST": OrderOutput}
    codes = {"POST": [*EDITED, "DISCOUNT_NOT_FOUND", "CHECKOUT_DISCOUNT_NOT_REMOVABLE"]}
    names = {"POST": "remove_discounts"}

    @idempotent
    def post(self, request, order_id):
        """Remove pending discounts from an order, all of them or none."""
        data = self.validated(RemoveDiscountsInput)
        services.remove_discounts(order_id=order_id, discount_ids=data["order_discount_ids"], actor=request.actor)
        return self.reply_order(order_id)


class DiscountRepricing(OrderRoute):
    buyers = ("POST",)
    inputs = {"POST": NothingInput}
    outputs = {"POST": OrderOutput}
    codes = {"POST": EDITED}
    names = {"POST": "reprice_discounts"}

    @idempotent
    def post(self, request, order_id):
        """Work pending discounts out anew."""
        self.validated(NothingInput)
        services.reprice_discounts(order_id=order_id, actor=request.actor)
        return self.reply_order(order_id)


class ActivityCollection(OrderRoute):
    queries = {"GET": ActivityQuery}
    outputs = {"GET": [OrderActivityOutput]}
    codes = {"GET": ["ORDER_NOT_FOUND"]}
    names = {"GET": "list_order_activities"}

    def get(self, request, order_id):
        """
        List what happened to an order, newest first.

        A log, not a ledger: read the balance from ``running_balance_money``, never by adding up the deltas.
        """
        order = Order.objects.of(request.actor).find(id=order_id)
        return self.reply_page(paginate(Event.objects.filter(order_id=order.id), self.query(ActivityQuery)))


class CustomerRoute(ApiView):
    """A route under customers."""

    tag = "Customers"
    scopes = {"GET": "customers.read", "POST": "customers.write", "PATCH": "customers.write"}

    def reply_customer(self, customer: Customer):
        """Answer with a customer of the key's environment."""
        customer.environment = self.request.environment
        return self.reply(customer)


class CustomerCollection(CustomerRoute):
    inputs = {"POST": CreateCustomerInput}
    queries = {"GET": CustomerQuery}
    outputs = {"GET": [CustomerOutput], "POST": CustomerOutput}
    statuses = {"POST": 201}
    codes = {"POST": ["CUSTOMER_EMAIL_ALREADY_USED", "INVOICE_PAYMENT_TERM_UNAVAILABLE"]}
    names = {"GET": "list_customers", "POST": "create_customer"}

    def get(self, request):
        """
        List customers.

        ``query`` matches parts of names and email addresses, and whole ids and external references.
        """
        rows = Customer.objects.of(request.actor).select_related("environment")
        query = self.query(CustomerQuery)
        page = paginate(rows, query)
        load_expanded(page.items, query.expand)
        return self.reply_page(page)

    @idempotent
    def post(self, request):
        """Create a customer."""
        customer = services.create_customer(data=self.validated(CreateCustomerInput), actor=request.actor)
        return self.reply_customer(customer)


class CustomerView(CustomerRoute):
    inputs = {"PATCH": UpdateCustomerInput}
    queries = {"GET": ReadCustomerQuery}
    outputs = {"GET": CustomerOutput, "PATCH": CustomerOutput}
    codes = {
        "GET": ["RESOURCE_NOT_FOUND"],
        "PATCH": ["RESOURCE_NOT_FOUND", "VERSION_CONFLICT", "INVOICE_PAYMENT_TERM_UNAVAILABLE"],
    }
    names = {"GET": "get_customer", "PATCH": "update_customer"}

    def get(self, request, customer_id):
        """Read a customer."""
        return self.reply_customer(Customer.objects.of(request.actor).find(id=customer_id))

    @idempotent
    def patch(self, request, customer_id):
        """Change a customer. What is left out stays; null clears; the email address never changes."""
        data = self.validated(UpdateCustomerInput)
        customer = services.update_customer(customer_id=customer_id, data=data, actor=request.actor)
        return self.reply_customer(customer)
