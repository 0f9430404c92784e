"""Stripe in the admin: connect an environment, rotate its keys, try them, take them out. Secrets go in, never out."""

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, environment_badge, moment, staff_actor
from flint.errors import FlintError
from flint.merchants.models import Environment
from flint.merchants.staff import Right, access_of, environments_of
from flint.sealing import Secret, Unsealable
from payments.processors.base import Misconfigured
from payments.processors.stripe import accounts
from payments.processors.stripe.forms import StripeKeysForm
from payments.processors.stripe.mapping import NOTICES
from payments.processors.stripe.models import StripeAccount

STEM = "stripe_processor_stripeaccount"
SHOWN = 4
"""How many characters of a secret are shown, to tell it from another one."""


def ending(secret: Secret) -> str:
    """Return how a secret ends; of a short one, nothing."""
    try:
        text = secret.reveal()
    except Unsealable:
        return "cannot be opened: its encryption key is gone, enter it anew"
    return f"…{text[-SHOWN:]}" if len(text) >= 4 * SHOWN else "…"


@admin.register(StripeAccount)
class StripeAccountAdmin(ReadOnlyAdmin):
    """Which environments collect through Stripe, and the pages where that is changed."""

    right = Right.READ_SETUP
    group = "Setup"
    icon = "link"
    title = "Stripe"
    rank = 8
    ordering = ("environment_id",)
    list_display = ("environment_name", "environment_column", "secret_ending", "updated")
    list_display_links = ("environment_name",)
    list_filter = (EnvironmentFilter,)
    list_select_related = ("environment__merchant",)
    list_before_template = "admin/stripe/connectable.html"
    fields = ("environment_name", "secret_ending", "publishable_key", "webhook_ending", "previous_webhook")
    fields += ("connected_account_id", "webhook_address", "webhook_events", "updated")
    readonly_fields = fields
    change_form_outer_before_template = "admin/stripe/buttons.html"

    def extra_urls(self) -> list[URLPattern]:
        views = {"keys": self.keys_view, "check": self.check_view, "disconnect": self.disconnect_view}
        return [
            path(f"<str:object_id>/{name}/", self.admin_site.admin_view(view), name=f"{STEM}_{name}")
            for name, view in views.items()
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """List what is connected, and offer the rest to be."""
        theirs = environments_of(request.user, Right.CONNECT_PROCESSOR)
        known = set(StripeAccount.objects.filter(pk__in=[each.id for each in theirs]).values_list("pk", flat=True))
        rest = [
            {"name": str(each), "badge": environment_badge(each), "url": reverse(f"admin:{STEM}_keys", args=[each.id])}
            for each in theirs
            if each.id not in known
        ]
        return super().changelist_view(request, {**(extra_context or {}), "connectable": rest})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show what may be shown of an environment's keys, with the buttons that the user may press."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        account = self.find(request, object_id)
        more = {"may_connect": access_of(request.user).may(Right.CONNECT_PROCESSOR, account.environment_id)}
        for name in ("keys", "check", "disconnect"):
            more[f"{name}_url"] = reverse(f"admin:{STEM}_{name}", args=[account.pk])
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def keys_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take keys in. A refusal comes back on the form, nothing changed, and no secret with it."""
        environment = self._environment(request, object_id)
        account = StripeAccount.objects.filter(pk=environment.id).order_by("pk").first()
        if request.method in ("GET", "HEAD"):
            seen = {"seen": account.updated_at.isoformat()} if account else {}
            return self._form(request, environment, StripeKeysForm(account=account, initial=seen))
        if request.method != "POST":
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        form = StripeKeysForm(request.POST, account=account)
        if not form.is_valid():
            return self._form(request, environment, form, status=400)
        known = {"environment_id": environment.id, "actor": staff_actor(request, environment.id), **form.typed()}
        try:
            if account:
                accounts.rotate(instead_of=form.cleaned_data["seen"], **known)
            else:
                accounts.connect(api_base=settings.STRIPE_API_BASE, **known)
        except FlintError as refusal:
            form.add_error(refusal.param if refusal.param in form.fields else None, refusal.message)
            return self._form(request, environment, form, status=400)
        messages.success(request, f"{environment} collects through Stripe. Stripe takes the key.")
        return HttpResponseRedirect(reverse(f"admin:{STEM}_change", args=[environment.id]))

    def check_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask Stripe whether it takes the key, and say what it said."""
        environment = self._environment(request, object_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            accounts.check(environment.id)
        except (FlintError, Misconfigured) as refusal:
            messages.error(request, f"It does not work. {getattr(refusal, 'message', refusal)}")
        else:
            mode = "real money" if environment.is_live else "test money"
            messages.success(request, f"It works: Stripe takes the key, and it is one for {mode}.")
        return self._back(environment)

    def disconnect_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Forget the keys, unless something is under way."""
        environment = self._environment(request, object_id)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            accounts.disconnect(environment_id=environment.id, actor=staff_actor(request, environment.id))
        except (FlintError, Misconfigured) as refusal:
            messages.error(request, getattr(refusal, "message", str(refusal)))
            return self._back(environment)
        messages.success(request, f"The keys of {environment} are gone; Stripe collects nothing for it any more.")
        return HttpResponseRedirect(reverse(f"admin:{STEM}_changelist"))

    def _environment(self, request: HttpRequest, object_id: str) -> Environment:
        """
        Return the environment that an address names.

        :raises Http404: if it is not the user's. :raises PermissionDenied: if they may look at it only.
        """
        access = access_of(request.user)
        if not access.may(Right.READ_SALES, object_id):
            raise Http404("There is no such page, or it is not yours to see.")
        if not access.may(Right.CONNECT_PROCESSOR, object_id):
            raise PermissionDenied
        return Environment.objects.select_related("merchant").get(id=object_id)

    def _back(self, environment: Environment) -> HttpResponse:
        is_connected = StripeAccount.objects.filter(pk=environment.id).exists()
        view, args = ("change", [environment.id]) if is_connected else ("changelist", [])
        return HttpResponseRedirect(reverse(f"admin:{STEM}_{view}", args=args))

    def _form(
        self, request: HttpRequest, environment: Environment, form: StripeKeysForm, *, status: int = 200
    ) -> HttpResponse:
        account = form.account
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Stripe for {environment}",
            "environment": environment,
            "form": form,
            "account": account,
            "mode": environment.mode,
            "secret_ending": ending(account.secret_key) if account else "",
            "webhook_ending": ending(account.webhook_secret) if account else "",
            "webhook_url": accounts.webhook_url(environment.id),
            "events": events_wanted(),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/stripe/keys.html", context, status=status)

    # Columns

    @admin.display(description="Environment")
    def environment_name(self, account: StripeAccount) -> str:
        return str(account.environment)

    @admin.display(description="Secret key ends in")
    def secret_ending(self, account: StripeAccount) -> str:
        return ending(account.secret_key)

    @admin.display(description="Webhook secret ends in")
    def webhook_ending(self, account: StripeAccount) -> str:
        return ending(account.webhook_secret)

    @admin.display(description="Webhook secret before it")
    def previous_webhook(self, account: StripeAccount) -> str:
        if len(account.webhook_secrets(timezone.now())) < 2:
            return "Not believed any more" if account.previous_webhook_secret else "None"
        until = account.previous_until
        return f"{ending(account.previous_webhook_secret)}, believed until {until:%d %b %Y, %H:%M} UTC"

    @admin.display(description="Where Stripe sends its notices")
    def webhook_address(self, account: StripeAccount) -> str:
        return accounts.webhook_url(account.environment_id)

    @admin.display(description="Events to choose there")
    def webhook_events(self, account: StripeAccount) -> str:
        return events_wanted()

    @admin.display(description="Entered")
    def updated(self, account: StripeAccount) -> str:
        return moment(account.updated_at, account.environment.merchant.reporting_timezone)


def events_wanted() -> str:
    """Say which of Stripe's events Flint listens to."""
    return ", ".join(sorted(f"{prefix}*" for prefix in NOTICES))
