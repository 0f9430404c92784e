"""Disputes in the admin: their part of the order page, a work list, a page each, and the two decisions on a debt."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, moment, staff_actor, words
from flint.errors import FlintError
from flint.events.models import Event
from flint.merchants.staff import Right, access_of
from flint.money import Money
from orders.admin.registry import Section, SectionContent, event_words, order_searches, order_sections
from orders.admin.words import money_of
from orders.models import Order
from payments.admin import order_link, source_text
from refunds.models import Dispute
from refunds.models.disputes import ASKS_FOR_A_RESPONSE, D, Decision
from refunds.services import disputes
from refunds.services.disputes.deciding import MAX_REASON

DECISIONS = {
    Decision.WRITE_OFF: "Written off: nobody owes it any more.",
    Decision.COLLECT_AGAIN: "To be collected again from the customer.",
}
VERBS = {
    "write-off": {
        "verb": disputes.write_off,
        "title": "Write off",
        "what": "Nobody owes this any more. Should the bank give the money back, the write-off is undone by itself.",
        "done": "The debt is written off.",
    },
    "collect-again": {
        "verb": disputes.collect_again,
        "title": "Collect again",
        "what": "The order can be paid again: through a checkout, an invoice or the API, like anything that is owed.",
        "done": "The order can be paid again.",
    },
    "note-loss": {
        "verb": disputes.note_loss,
        "title": "Note the loss",
        "what": "What was taken beyond the payment stays booked as a loss. It leaves the work list, in your name.",
        "done": "The loss is noted.",
    },
}


def facts_of(dispute: Dispute) -> dict[str, Any]:
    """Return what a page shows of a dispute. Needs its payment, and its order's environment and merchant."""
    currency = dispute.payment_intent.currency
    amounts = [
        ("Withdrawn", dispute.withdrawn_amount),
        ("On the order", dispute.charged_back_amount if dispute.excess_amount else 0),
        ("Beyond what the payment still held", dispute.excess_amount),
        ("Written off", dispute.written_off_amount),
    ]
    return {
        "id": dispute.id,
        "title": f"{words(dispute.case_type)}: {words(dispute.reason).lower()}",
        "badge": badge(dispute.status),
        "opened_at": dispute.opened_at,
        "money": dispute.money,
        "source": source_text(dispute.payment_intent),
        "reference": dispute.reference,
        "due_at": dispute.evidence_due_at if dispute.is_answerable else None,
        "is_late": bool(dispute.is_answerable and dispute.evidence_due_at and dispute.evidence_due_at < timezone.now()),
        "amounts": [(name, Money(amount, currency)) for name, amount in amounts if amount],
        "has_loss": dispute.excess_amount > 0,
        "has_new_loss": dispute.has_new_loss,
        "decision": DECISIONS.get(dispute.decision, ""),
    }


def _load(order: Order) -> SectionContent:
    rows = Dispute.objects.filter(order_id=order.id).select_related("payment_intent").order_by("opened_at", "id")
    shown = [facts_of(row) | {"is_undecided": row.is_undecided} for row in rows]
    return SectionContent(context={"disputes": shown, "is_blocked": order.is_collection_blocked})


order_sections.append(Section(template="admin/refunds/disputes.html", load=_load))


def by_dispute(term: str, environment_ids: list[str]) -> QuerySet | None:
    """Match the order of a dispute by the dispute's id."""
    if not term.lower().startswith("dsp_"):
        return None
    found = Dispute.objects.filter(environment_id__in=environment_ids, id=f"dsp_{term[4:].upper()}")
    return found.order_by().values("order_id")


order_searches.append(by_dispute)


def _opened(event: Event) -> str:
    kind = words(event.data.get("case_type", "")) or "Dispute"
    disputed = event.data.get("disputed")
    about = f" over {disputed}" if disputed else ""
    return f"{kind} opened{about}: {words(event.data.get('reason', '')).lower()}"


def _moved(what: str):
    def write(event: Event) -> str:
        text = what
        if beyond := abs(event.data.get("excess_amount") or 0):
            text += f", {Money(beyond, event.currency)} of it beyond what the payment still held"
        if again := money_of(event, "owed_again_amount"):
            text += f", {again} that was written off is paid after all"
        return text

    return write


event_words.update(
    {
        "dispute.created": _opened,
        "dispute.updated": lambda event: f"Dispute is now: {words(event.data.get('status', '')).lower()}",
        "dispute.needs_response": lambda event: "An answer to the dispute is asked for",
        "dispute.funds_withdrawn": _moved("Money withdrawn for a dispute"),
        "dispute.funds_reinstated": _moved("Money of a dispute given back"),
        "dispute.rebooked": lambda event: "What a dispute took is shared anew between the order and the loss beyond it",
        "dispute.won": lambda event: "Dispute won",
        "dispute.lost": lambda event: "Dispute lost",
        "dispute.prevented": lambda event: "Dispute settled before it was decided",
        "dispute.warning_closed": lambda event: "The bank asks no more",
        "dispute.closed": lambda event: "Dispute closed",
        "dispute.written_off": lambda event: "What the dispute took is written off",
        "dispute.loss_noted": lambda event: "What the dispute took beyond the payment is noted as a loss",
        "dispute.collected_again": lambda event: "What the dispute took is to be collected again",
    }
)

NEEDS_RESPONSE = Q(status__in=ASKS_FOR_A_RESPONSE, is_evidence_past_due=False) & ~Q(case_type="bank_return")
UNDECIDED = Q(charged_back_amount__gt=0, decision="", order__is_collection_blocked=True)
WITH_LOSS = Q(excess_amount__gt=F("noted_amount"))


class WorkFilter(admin.SimpleListFilter):
    """Keeps to what somebody should do something about."""

    title = "what is left to do"
    parameter_name = "work"
    works = {
        "answer": ("Needs an answer", NEEDS_RESPONSE),
        "decide": ("Needs a decision", UNDECIDED),
        "loss": ("Took more than the payment held", WITH_LOSS),
    }

    def lookups(self, request: HttpRequest, model_admin: ReadOnlyAdmin) -> list[tuple[str, str]]:
        return [(name, title) for name, (title, _) in self.works.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(self.works[self.value()][1]) if self.value() in self.works else queryset


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    """The disputes that need an answer first, by when it is due; then the others, newest first."""

    icon = "gavel"
    rank = 4
    list_display = ("what", "status_badge", "due", "order_column", "amount_column", "taken", "decided")
    list_display += ("environment_column",)
    list_filter = (WorkFilter, "status", "case_type", "reason", "created_at", EnvironmentFilter)
    list_select_related = ("order", "payment_intent", "environment__merchant")
    ordering = (
        Case(When(NEEDS_RESPONSE, then=Value(0)), default=Value(1)),
        Case(When(NEEDS_RESPONSE, then=F("evidence_due_at"))).asc(nulls_last=True),
        "-id",
    )
    search_fields = ("id",)
    search_help_text = "Dispute id, or the processor's name for it"

    def extra_urls(self) -> list[URLPattern]:
        return [
            path(
                f"<str:object_id>/{name}/",
                self.admin_site.admin_view(self._deciding(name)),
                name=f"refunds_dispute_{name.replace('-', '_')}",
            )
            for name in VERBS
        ]

    def waiting(self, request: HttpRequest) -> list[tuple[str, int, str]]:
        theirs = self.get_queryset(request).order_by()
        return [
            ("disputes need an answer", theirs.filter(NEEDS_RESPONSE).count(), "work=answer"),
            ("debts that disputes left need a decision", theirs.filter(UNDECIDED).count(), "work=decide"),
            ("disputes took more than the payment held", theirs.filter(WITH_LOSS).count(), "work=loss"),
        ]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        return queryset.filter(Q(id=term) | Q(reference=term)) if term else queryset, False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a dispute. There is no form behind it, but buttons for who may decide."""
        dispute = self.find(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return self._page(request, dispute, "admin/refunds/dispute.html", buttons=self._buttons(request, dispute))

    def _buttons(self, request: HttpRequest, dispute: Dispute) -> list[dict[str, str]]:
        if not access_of(request.user).may(Right.DECIDE_DISPUTE, dispute.environment_id):
            return []
        offers = {
            "write-off": dispute.is_undecided,
            "collect-again": dispute.is_undecided and dispute.status == D.LOST,
            "note-loss": dispute.has_new_loss,
        }
        offered = [name for name, is_offered in offers.items() if is_offered]
        return [{"title": VERBS[name]["title"], "url": self._url(dispute, name)} for name in offered]

    def _url(self, dispute: Dispute, name: str) -> str:
        return reverse(f"admin:refunds_dispute_{name.replace('-', '_')}", args=[dispute.id])

    def _deciding(self, name: str):
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            """Ask for a reason, then have the service decide. A refusal comes back on the form, nothing changed."""
            dispute = self.find(request, object_id)
            self.refuse_unless(request, Right.DECIDE_DISPUTE, dispute)
            if request.method not in ("GET", "HEAD", "POST"):
                return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
            decided = dispute.charged_back_amount - dispute.written_off_amount
            about = dispute.excess_amount - dispute.noted_amount if name == "note-loss" else decided
            form = {"decision": VERBS[name], "max_reason": MAX_REASON, "about": dispute.order.money(about)}
            if request.method != "POST":
                return self._page(request, dispute, "admin/refunds/decide.html", **form)
            reason = request.POST.get("reason", "").replace("\r\n", "\n")
            actor = staff_actor(request, dispute.environment_id)
            try:
                VERBS[name]["verb"](dispute_id=dispute.id, reason=reason, actor=actor)
            except FlintError as refusal:
                form |= {"typed": reason, "error": refusal.message}
                return self._page(request, dispute, "admin/refunds/decide.html", status=400, **form)
            messages.success(request, VERBS[name]["done"])
            return HttpResponseRedirect(reverse("admin:refunds_dispute_change", args=[dispute.id]))

        return view

    def _page(
        self, request: HttpRequest, dispute: Dispute, template: str, *, status: int = 200, **more: Any
    ) -> HttpResponse:
        order = dispute.order
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Dispute on order {order.order_number}",
            "original": dispute,
            "dispute": dispute,
            "facts": facts_of(dispute),
            "order": order,
            "zone": dispute.environment.merchant.reporting_timezone,
            "is_undecided": dispute.is_undecided,
            "movements": _movements(dispute),
            **more,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, context, status=status)

    @admin.display(description="Dispute")
    def what(self, dispute: Dispute) -> str:
        return f"{words(dispute.case_type)}: {words(dispute.reason).lower()}"

    @admin.display(description="Status")
    def status_badge(self, dispute: Dispute) -> str:
        return badge(dispute.status)

    @admin.display(description="Answer due")
    def due(self, dispute: Dispute) -> str:
        due_at = dispute.evidence_due_at if dispute.is_answerable else None
        return moment(due_at, dispute.environment.merchant.reporting_timezone)

    @admin.display(description="Order")
    def order_column(self, dispute: Dispute) -> str:
        return order_link(dispute.order)

    @admin.display(description="Disputed")
    def amount_column(self, dispute: Dispute) -> str:
        return dispute.money.text()

    @admin.display(description="Withdrawn")
    def taken(self, dispute: Dispute) -> str:
        return Money(dispute.withdrawn_amount, dispute.payment_intent.currency).text()

    @admin.display(description="Decision")
    def decided(self, dispute: Dispute) -> str:
        if dispute.is_undecided and dispute.order.is_collection_blocked:
            return badge("pending", "Needed")
        return dispute.get_decision_display() or "–"


def _movements(dispute: Dispute) -> list[dict[str, Any]]:
    """Return each step of a dispute's money, oldest first, with how it changed the order and the loss beyond it."""
    currency = dispute.payment_intent.currency
    return [
        {
            "at": row.created_at,
            "charged_back": Money(row.charged_back_amount, currency),
            "excess": Money(row.excess_amount, currency),
            "written_off": Money(row.written_off_amount - row.credit_restored_amount, currency),
        }
        for row in dispute.movements.order_by("created_at", "id")
    ]
