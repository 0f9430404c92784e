"""
The network's dashboard for people: look at payments, and do what a bank, a buyer or the merchant could do there.

Only for sandboxes, and only for staff whose role lets them play the processor; to anybody else there is no such page.
Everything that is done goes through ``dashboard``, so Flint learns of it by notices or by asking, as of any processor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any

import structlog
from django import forms
from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.db.models import Count, Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from flint.merchants.models import Environment
from flint.merchants.staff import Right, access_of
from flint.money import Money
from flint.typed import typed
from payments.processors.base import Refused
from payments.processors.sandbox import balance, clock, dashboard
from payments.processors.sandbox.forms import (
    SPANS,
    AmountForm,
    ChargeForm,
    DisputeForm,
    ForeignForm,
    NothingTyped,
    PayoutFailureForm,
    ReturnForm,
    TimeForm,
)
from payments.processors.sandbox.models import (
    SandboxBalanceTransaction,
    SandboxDispute,
    SandboxPayment,
    SandboxPayout,
    SandboxRefund,
)

log = structlog.get_logger(__name__)

PAGE = 25


@dataclass(frozen=True, slots=True)
class Verb:
    """
    Something that can be done to one thing: what is typed for it, how it is done, and when it is offered.

    ``takes`` names what the form hands over, by the dashboard's own names.
    """

    label: str
    act: Callable[..., Any]
    statuses: tuple[str, ...] = ()
    form: type[NothingTyped] = NothingTyped
    takes: tuple[tuple[str, str], ...] = ()
    if_any: str = ""
    """An amount of the row that has to be above nothing."""

    def fits(self, row: Any) -> bool:
        """Tell whether it makes sense to offer. Whether it can be done is for the network to say."""
        return (not self.statuses or row.status in self.statuses) and (not self.if_any or getattr(row, self.if_any) > 0)


MONEY = (("money", "amount"),)
OPEN = ("needs_response", "under_review")
ASKED = ("warning_needs_response", "warning_under_review")

VERBS: dict[str, dict[str, Verb]] = {
    "payment": {
        "capture": Verb("Capture", dashboard.capture, ("requires_capture",), AmountForm, MONEY),
        "cancel": Verb("Cancel", dashboard.cancel, ("requires_capture", "requires_action", "requires_payment_method")),
        "refund": Verb("Refund", dashboard.refund, ("succeeded",), AmountForm, MONEY, if_any="refundable_amount"),
        "dispute": Verb(
            "Open dispute",
            dashboard.open_dispute,
            ("succeeded",),
            DisputeForm,
            (*MONEY, ("reason", "reason"), ("case_type", "case_type"), ("withdraws", "withdraws")),
        ),
        "return": Verb("Return debit", dashboard.return_debit, ("succeeded",), ReturnForm, (("code", "code"),)),
    },
    "refund": {"fail": Verb("Fail", dashboard.fail_refund, ("pending", "succeeded"))},
    "dispute": {
        "submit_evidence": Verb("Submit evidence", dashboard.submit_evidence, ("warning_needs_response", *OPEN)),
        "escalate": Verb("Escalate", dashboard.escalate, ASKED),
        "close_warning": Verb("Close inquiry", dashboard.close_warning, ASKED),
        "win": Verb("Win", dashboard.win, (*OPEN, "lost")),
        "lose": Verb("Lose", dashboard.lose, (*OPEN, "won")),
        "prevent": Verb("Prevent", dashboard.prevent, (*ASKED, *OPEN)),
        "withdraw": Verb("Withdraw", dashboard.withdraw, (), AmountForm, MONEY),
        "reinstate": Verb("Reinstate", dashboard.reinstate, (), AmountForm, MONEY, if_any="withdrawn_amount"),
        "correct": Verb("Change amount", dashboard.correct_dispute, (), AmountForm, MONEY),
    },
    "payout": {
        "fail": Verb(
            "Fail", dashboard.fail_payout, ("pending", "in_transit", "paid"), PayoutFailureForm, (("code", "code"),)
        ),
        "cancel": Verb("Cancel", dashboard.cancel_payout, ("pending",)),
    },
}

MODELS: dict[str, type[Model]] = {
    "payment": SandboxPayment,
    "refund": SandboxRefund,
    "dispute": SandboxDispute,
    "payout": SandboxPayout,
}


def may_play(user: AbstractBaseUser | AnonymousUser, environment: Environment) -> bool:
    """Tell whether somebody may do here what the processor would do. Nobody may where money is real."""
    return not environment.is_live and access_of(user).may(Right.PLAY_PROCESSOR, environment.id)


def for_developers(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let in who may play the processor of this sandbox; have others sign in, or find nothing."""

    @never_cache
    @wraps(view)
    def guarded(request: HttpRequest, environment_id: str, **kwargs: Any) -> HttpResponse:
        user = request.user
        if not (user.is_authenticated and user.is_active and user.is_staff):
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        environment = Environment.objects.select_related("merchant").filter(id=environment_id).order_by("id").first()
        if environment is None or not may_play(user, environment):
            raise Http404
        response = view(request, environment, **kwargs)
        response["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        return response

    return guarded


@require_safe
@for_developers
def overview(request: HttpRequest, environment: Environment) -> HttpResponse:
    """Show what is kept, what was paid lately and what was paid out."""
    payments, older = _page(SandboxPayment.objects.annotate(dispute_count=Count("disputes")), request, environment)
    payouts = SandboxPayout.objects.filter(environment_id=environment.id).order_by("-created_at", "-reference")
    context = {
        "balances": [
            {
                "currency": kept.currency,
                "available": Money(kept.available_amount, kept.currency),
                "pending": Money(kept.pending_amount, kept.currency),
            }
            for kept in balance.balances(environment.id)
        ],
        "payments": [_payment(row) for row in payments],
        "older": older,
        "payouts": [_shown("payout", row, Money(row.amount, row.currency)) for row in payouts[:PAGE]],
        "spans": SPANS,
        "charge_form": ChargeForm(),
    }
    return render(request, "sandbox/overview.html", {**context, "environment": environment})


@require_safe
@for_developers
def payment(request: HttpRequest, environment: Environment, reference: str) -> HttpResponse:
    """Show one payment with all that happened to it, and what can be done about it."""
    row = _find("payment", environment, reference)
    refunds = list(row.refunds.order_by("created_at", "reference"))
    disputes = list(row.disputes.order_by("created_at", "reference"))
    sources = [row.reference, *(each.reference for each in refunds), *(each.reference for each in disputes)]
    moved = SandboxBalanceTransaction.objects.filter(environment_id=environment.id, source_reference__in=sources)
    shown = _payment(row)
    if row.source_type != "ach_debit":
        shown["verbs"] = [each for each in shown["verbs"] if each["name"] != "return"]
    context = {
        "payment": shown,
        "refunds": [_shown("refund", each, Money(each.amount, each.currency)) for each in refunds],
        "disputes": [
            {
                **_shown("dispute", each, Money(each.amount, each.currency)),
                "withdrawn": Money(each.withdrawn_amount, each.currency),
            }
            for each in disputes
        ],
        "movements": [
            {
                "row": each,
                "amount": Money(each.amount, each.currency),
                "fee": Money(each.fee_amount, each.currency),
                "net": Money(each.net_amount, each.currency),
            }
            for each in moved.order_by("occurred_at", "reference")
        ],
    }
    return render(request, "sandbox/payment.html", {**context, "environment": environment})


@require_POST
@for_developers
def act(request: HttpRequest, environment: Environment, kind: str, reference: str, verb: str) -> HttpResponse:
    """Do something to a payment, refund, dispute or payout, and go back to where it shows."""
    row = _find(kind, environment, reference)
    chosen = VERBS[kind].get(verb)
    if chosen is None:
        raise Http404
    form = chosen.form(request.POST, currency=row.currency)

    def perform() -> None:
        options = {name: form.cleaned_data[field] for name, field in chosen.takes}
        chosen.act(environment_id=environment.id, reference=reference, **options)

    _perform(request, environment, form, perform, f"{chosen.label}: done.", verb=f"{kind}.{verb}", reference=reference)
    if kind == "payout":
        return _back(environment)
    payment_reference = reference if kind == "payment" else row.payment_id
    return HttpResponseRedirect(reverse("sandbox:payment", args=[environment.id, payment_reference]))


@require_POST
@for_developers
def charge(request: HttpRequest, environment: Environment) -> HttpResponse:
    """Take a payment that nobody in the shop asked for."""
    form = ChargeForm(request.POST)

    def perform() -> None:
        data = form.cleaned_data
        dashboard.charge(
            environment_id=environment.id,
            money=data["money"],
            token=data["token"],
            capture_method="manual" if data["holds"] else "automatic",
        )

    _perform(request, environment, form, perform, "The payment was made.", verb="charge")
    return _back(environment)


@require_POST
@for_developers
def pay_out(request: HttpRequest, environment: Environment) -> HttpResponse:
    """Pay out by hand."""
    form = ForeignForm(request.POST)

    def perform() -> None:
        dashboard.pay_out(environment_id=environment.id, money=form.cleaned_data["money"])

    _perform(request, environment, form, perform, "The payout is on its way.", verb="pay_out")
    return _back(environment)


@require_POST
@for_developers
def pass_time(request: HttpRequest, environment: Environment) -> HttpResponse:
    """Let happen now what is due within some days."""
    form = TimeForm(request.POST)

    def perform() -> None:
        now = timezone.now()
        clock.advance(now + timedelta(days=form.cleaned_data["days"]), environment.id, now=now)

    _perform(request, environment, form, perform, "What was due by then has happened.", verb="pass_time")
    return _back(environment)


def _perform(
    request: HttpRequest,
    environment: Environment,
    form: forms.Form,
    perform: Callable[[], None],
    done: str,
    **facts: str,
) -> None:
    """Do what was asked and say how it went: a wrong entry and the network's refusal are told alike."""
    if not form.is_valid():
        messages.error(request, " ".join(error for errors in form.errors.values() for error in errors))
        return
    try:
        perform()
    except Refused as refused:
        messages.error(request, refused.message)
        return
    log.info("sandbox.played", environment_id=environment.id, user_id=request.user.pk, **facts)
    messages.success(request, done)


def _back(environment: Environment) -> HttpResponse:
    return HttpResponseRedirect(reverse("sandbox:overview", args=[environment.id]))


def _find(kind: str, environment: Environment, reference: str) -> Any:
    model = MODELS.get(kind)
    row = model and model.objects.filter(environment_id=environment.id, reference=reference).order_by("pk").first()
    if row is None:
        raise Http404
    return row


def _page(rows: QuerySet, request: HttpRequest, environment: Environment) -> tuple[list[Any], str]:
    """Return a page of rows, newest first, and behind which one the next begins, if there is one."""
    rows = rows.filter(environment_id=environment.id)
    if behind := request.GET.get("behind"):
        last = _find("payment", environment, behind)
        rows = rows.filter(
            Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, reference__lt=last.reference)
        )
    found = list(rows.order_by("-created_at", "-reference")[: PAGE + 1])
    return found[:PAGE], found[PAGE - 1].reference if len(found) > PAGE else ""


def _payment(row: SandboxPayment) -> dict[str, Any]:
    return {
        **_shown("payment", row, Money(row.amount, row.currency)),
        "source": f"{row.brand or row.bank_name} …{row.last4}",
        "captured": Money(row.captured_amount, row.currency),
        "refunded": Money(row.refunded_amount, row.currency),
        "suggested": typed(Money(row.refundable_amount or row.authorized_amount, row.currency)),
    }


def _shown(kind: str, row: Any, money: Money) -> dict[str, Any]:
    verbs = [
        {"name": name, "label": verb.label, "form": verb.form(currency=row.currency)}
        for name, verb in VERBS[kind].items()
        if verb.fits(row)
    ]
    return {"row": row, "kind": kind, "money": money, "typed": typed(money), "verbs": verbs}
