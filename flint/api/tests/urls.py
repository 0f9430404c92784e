"""A throw-away API whose views use every convention, for the tests of the conventions."""

from collections.abc import Callable

from django.urls import include, path

from flint import errors
from flint.api import metadata
from flint.api.fields import (
    EnumField,
    ExternalReferenceField,
    IdField,
    ListOf,
    MetadataField,
    MetadataPatchField,
    MoneyField,
    PercentField,
    SignedMoneyField,
    StrictBoolean,
    StrictInteger,
    StrictString,
    TimestampField,
)
from flint.api.idempotency import idempotent
from flint.api.paging import paginate
from flint.api.queries import AmountFilter, CreatedFilter, Expand, Flag, ListQuery, Query, Several, UpdatedFilter
from flint.api.serializers import Input, Output, Patch, Success, Tagged
from flint.api.views import ApiView
from flint.merchants import services
from flint.merchants.models import Environment, Kind, Merchant
from flint.money import Money

PRESENT = Money(500, "EUR")


class ShopNotFound(errors.NotFound):
    code = "SHOP_NOT_FOUND"


class ShopFull(errors.Conflict):
    code = "SHOP_FULL"
    message = "The shop takes no more."


class PartInput(Input):
    """A part of a gadget."""

    reserved = {"variant_id"}

    name = StrictString(max_length=10, code_required="PART_NAME_REQUIRED", code_too_long="PART_NAME_TOO_LONG")
    quantity = StrictInteger(minimum=1, maximum=999, required=False, default=1, code="PART_INVALID_QUANTITY")
    unit_price_money = MoneyField(code_required="PART_PRICE_REQUIRED", code_negative="PART_NEGATIVE_PRICE")


class GadgetInput(Input):
    """A gadget with all kinds of fields."""

    parts = ListOf(PartInput(), min_length=1, max_length=5, code_few="MISSING_PARTS", code_required="MISSING_PARTS")
    color = EnumField(["red", "green"], required=False, code="INVALID_COLOR")
    is_new = StrictBoolean(required=False)
    percent = PercentField(required=False, code="INVALID_PERCENT")
    fee_money = MoneyField(required=False, allow_null=True, min_amount=1)
    external_reference_id = ExternalReferenceField(required=False)
    made_at = TimestampField(required=False)
    metadata = MetadataField(required=False)


class GadgetPatch(Patch):
    """A change of a gadget."""

    guards = ("expected_version",)

    name = StrictString(max_length=20, code_too_long="NAME_TOO_LONG")
    metadata = MetadataPatchField()
    expected_version = StrictInteger(minimum=1, code="INVALID_EXPECTED_VERSION")


class PartOutput(Output):
    """A part of a gadget."""

    name = StrictString()
    quantity = StrictInteger()
    unit_price_money = MoneyField()


class GadgetOutput(Output):
    """A gadget as it was understood."""

    expandable = {"owner"}

    parts = ListOf(PartOutput(), required=False)
    color = StrictString(required=False)
    is_new = StrictBoolean(required=False)
    percent = PercentField(required=False)
    fee_money = MoneyField(required=False)
    balance_money = SignedMoneyField(required=False)
    external_reference_id = StrictString(required=False)
    made_at = TimestampField(required=False)
    metadata = MetadataField(required=False)
    owner = StrictString(required=False, allow_null=True)


class CardInput(Input):
    """Pay by card."""

    token = StrictString(code_required="TOKEN_REQUIRED")


class CashInput(Input):
    """Pay in cash."""

    amount_money = MoneyField()


class PayInput(Tagged):
    """One way to pay."""

    tag = "action"
    variants = {"card": CardInput, "cash": CashInput}


class NoteInput(Input):
    """May be left out as a whole."""

    body_optional = True

    note = StrictString(required=False, allow_null=True, max_length=100, code_too_long="NOTE_TOO_LONG")


class PaidOutput(Output):
    """What was understood."""

    action = StrictString()
    token = StrictString(required=False)
    amount_money = MoneyField(required=False)


class GadgetQuery(Query):
    """How to show a gadget."""

    expand = Expand(["owner", "maker"])


class Gadgets(ApiView):
    """Echoes what it understood."""

    scopes = {"GET": "commerce.orders.read", "POST": "commerce.orders.write"}
    inputs = {"POST": GadgetInput}
    queries = {"GET": GadgetQuery}
    outputs = {"GET": GadgetOutput, "POST": GadgetOutput}
    statuses = {"POST": 201}
    names = {"GET": "get_gadget", "POST": "create_gadget"}

    def get(self, request):
        """Get the one gadget."""
        gadget = {"balance_money": -PRESENT, "percent": 107_500, "color": None, "owner": None}
        return self.reply(GadgetOutput(gadget))

    def post(self, request):
        """Create a gadget.

        It is not kept.
        """
        return self.reply(GadgetOutput(self.validated(GadgetInput)))


class GadgetChange(ApiView):
    """Merges metadata and keeps nothing."""

    scopes = {"PATCH": "commerce.orders.write", "DELETE": ("commerce.orders.write", "webhooks.write")}
    inputs = {"PATCH": GadgetPatch}
    outputs = {"PATCH": GadgetOutput, "DELETE": Success}
    codes = {"PATCH": ["SHOP_FULL"]}

    def patch(self, request, gadget_id):
        """Change a gadget."""
        data = self.validated()
        merged = metadata.merge({"kept": "1", "dropped": "2"}, data.get("metadata", {}))
        return self.reply(GadgetOutput({"metadata": merged}))

    def delete(self, request, gadget_id):
        """Remove a gadget."""
        return self.reply(Success({}))


class Pay(ApiView):
    """Echoes a union."""

    scopes = {"POST": None}
    inputs = {"POST": PayInput}
    outputs = {"POST": PaidOutput}

    def post(self, request):
        """Pay."""
        return self.reply(PaidOutput(self.validated()))


class Note(ApiView):
    """Takes a body or none."""

    scopes = {"POST": None}
    inputs = {"POST": NoteInput}
    outputs = {"POST": Success}

    def post(self, request):
        """Take a note."""
        return self.reply(Success({}), warnings=[{"code": "NOTED", "message": str(self.validated().get("note"))}])


class ShopOutput(Output):
    """A sandbox, standing in for a resource."""

    shop_id = IdField("env", source="id")
    name = StrictString()
    sandbox_id = IdField("test", required=False)
    created_at = TimestampField()


class ShopInput(Input):
    """A new shop; ``fail`` makes it go wrong after it was stored."""

    name = StrictString(max_length=100, code_too_long="NAME_TOO_LONG")
    fail = EnumField(["full"], required=False)


class ShopQuery(CreatedFilter, UpdatedFilter, AmountFilter, ListQuery):
    """Which shops to list."""

    amount_column = "merchant__staff"
    sorts = {"created_at": "created_at", "name": "name", "shop_id": "id"}

    name = StrictString(required=False, lookup="name")
    kind = Several(Kind.values, code="INVALID_KIND", lookup="kind__in")
    is_default = Flag(lookup="is_default")


def nothing_more() -> None:
    """What happens while a shop opens; a test puts in a wait, a look around, or a crash."""


meanwhile: list[Callable[[], None]] = [nothing_more]


def open_shop(*, name: str, actor, fail: str | None = None) -> Environment:
    """Stand in for a service."""
    merchant = Environment.objects.get(id=actor.environment_id).merchant
    shop = services.create_sandbox(merchant_id=merchant.id, name=name)
    meanwhile[0]()
    if fail == "full":
        raise ShopFull(maximum_money=PRESENT, limit=3)
    return shop


class Shops(ApiView):
    """Stores something, once per key."""

    scopes = {"GET": ("customers.read", "customers.write"), "POST": "customers.write"}
    inputs = {"POST": ShopInput}
    queries = {"GET": ShopQuery}
    outputs = {"GET": [ShopOutput], "POST": ShopOutput}
    statuses = {"POST": 201}
    codes = {"POST": ["SHOP_FULL"]}

    def get(self, request):
        """List shops."""
        merchant = Merchant.objects.get(environments=request.actor.environment_id)
        return self.reply_page(paginate(Environment.objects.filter(merchant=merchant), self.query(ShopQuery)))

    @idempotent
    def post(self, request):
        """Open a shop."""
        data = self.validated(ShopInput)
        return self.reply(open_shop(**data, actor=request.actor))


class Shop(ApiView):
    """Reads one."""

    scopes = {"GET": "customers.read"}
    outputs = {"GET": ShopOutput}
    codes = {"GET": ["SHOP_NOT_FOUND"]}

    def get(self, request, shop_id):
        """Get a shop."""
        shop = Environment.objects.filter(id=shop_id, merchant=request.environment.merchant).order_by("id").first()
        if shop is None:
            raise ShopNotFound()
        return self.reply(shop)


class ExternalShops(ApiView):
    """Calls somebody between two transactions, once per key."""

    scopes = {"POST": "customers.write"}
    inputs = {"POST": ShopInput}
    outputs = {"POST": ShopOutput}
    codes = {"POST": ["SHOP_FULL"]}

    commands: list = []

    @idempotent(external=True)
    def post(self, request):
        """Open a shop with the help of somebody else."""
        self.commands.append(request.actor.command)
        return self.reply(open_shop(**self.validated(), actor=request.actor))


class Failures(ApiView):
    """Raises whatever the test puts in."""

    scopes = {"GET": None}
    outputs = {"GET": Success}
    raises: Exception | None = None

    def get(self, request):
        """Fail."""
        raise self.raises


def page_that_fails(request):
    """A view of Django's own kind."""
    raise ZeroDivisionError


urlpatterns = [
    path("v1/gadgets", Gadgets.as_view()),
    path("v1/gadgets/<str:gadget_id>", GadgetChange.as_view()),
    path("v1/pay", Pay.as_view()),
    path("v1/note", Note.as_view()),
    path("v1/shops", Shops.as_view()),
    path("v1/shops/<str:shop_id>", Shop.as_view()),
    path("v1/external-shops", ExternalShops.as_view()),
    path("v1/failures", Failures.as_view()),
    path("v1/plain", page_that_fails),
    path("", include("flint.api.urls")),
]
