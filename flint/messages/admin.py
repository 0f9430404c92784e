"""Messages in the admin: what was sent to whom, and the page that switches kinds off."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, environment_badge, moment, staff_actor, words
from flint.merchants.models import Environment
from flint.merchants.staff import Right, access_of, environments_of
from flint.messages.kinds import kinds, label_of
from flint.messages.models import Message, MessageSettings
from flint.messages.muting import mute_kinds

STEM = "outbox_messagesettings"


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """What was sent to buyers, and what could not be."""

    icon = "mail"
    title = "Emails"
    rank = 5
    list_display = ("kind_column", "status_badge", "recipient_column", "order_column", "tried", "created")
    list_display += ("environment_column",)
    list_filter = ("status", "kind", "created_at", EnvironmentFilter)
    list_select_related = ("order", "environment__merchant")
    search_fields = ("id",)
    search_help_text = "Email address or message id"
    fields = ("id", "kind_column", "status_badge", "recipient_column", "order_column", "language", "tried")
    fields += ("error", "next_try", "sent", "created")
    readonly_fields = fields

    def get_search_results(self, request, queryset, search_term: str):
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(**({"recipient__iexact": term} if "@" in term else {"id": term})), False

    @admin.display(description="Message")
    def kind_column(self, message: Message) -> str:
        return label_of(message.kind)

    @admin.display(description="Status")
    def status_badge(self, message: Message) -> str:
        return badge("pending" if message.status == "queued" else message.status, words(message.status))

    @admin.display(description="To")
    def recipient_column(self, message: Message) -> str:
        return ", ".join([message.recipient, *message.cc]) if message.recipient else "Erased"

    @admin.display(description="Order")
    def order_column(self, message: Message) -> str:
        order = message.order
        text = f"{order} (payment without an order)" if order.is_hidden else order
        url = reverse("admin:orders_order_change", args=[order.pk])
        return format_html('<a class="fl-link" href="{}">{}</a>', url, text)

    @admin.display(description="Tries")
    def tried(self, message: Message) -> int:
        return message.attempts

    @admin.display(description="Next try")
    def next_try(self, message: Message) -> str:
        return moment(message.next_at, message.environment.merchant.reporting_timezone)

    @admin.display(description="Sent")
    def sent(self, message: Message) -> str:
        return moment(message.sent_at, message.environment.merchant.reporting_timezone)


@admin.register(MessageSettings)
class MessageSettingsAdmin(ReadOnlyAdmin):
    """Which kinds of emails Flint sends in an environment, and the page where that is changed."""

    right = Right.READ_SETUP
    group = "Setup"
    icon = "mark_email_unread"
    title = "Email settings"
    rank = 9
    ordering = ("environment_id",)
    list_display = ("environment_name", "environment_column", "muted")
    list_display_links = ("environment_name",)
    list_filter = (EnvironmentFilter,)
    list_select_related = ("environment__merchant",)
    list_before_template = "admin/outbox/message_environments.html"
    fields = ("environment_name", "muted")
    readonly_fields = fields
    change_form_outer_before_template = "admin/outbox/message_kinds.html"

    def extra_urls(self) -> list[URLPattern]:
        mute = self.admin_site.admin_view(self.mute_view)
        return [path("<str:object_id>/mute/", mute, name=f"{STEM}_mute")]

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """List what was changed, and offer the environments where every kind is sent."""
        theirs = environments_of(request.user, Right.MUTE_MESSAGES)
        known = set(MessageSettings.objects.filter(pk__in=[each.id for each in theirs]).values_list("pk", flat=True))
        rest = [
            {"name": str(each), "badge": environment_badge(each), "url": reverse(f"admin:{STEM}_mute", args=[each.id])}
            for each in theirs
            if each.id not in known
        ]
        return super().changelist_view(request, {**(extra_context or {}), "unchanged": rest})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show which kinds are sent, with a button to change it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.find(request, object_id)
        may_mute = access_of(request.user).may(Right.MUTE_MESSAGES, row.environment_id)
        more = {"mute_url": reverse(f"admin:{STEM}_mute", args=[row.pk])} if may_mute else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def mute_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask which kinds Flint sends, and keep the answer."""
        environment = self._environment(request, object_id)
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        choices = [kind for kind in kinds.values() if kind.can_be_muted]
        if request.method == "POST":
            sent = set(request.POST.getlist("sent"))
            muted = [kind.name for kind in choices if kind.name not in sent]
            mute_kinds(muted, actor=staff_actor(request, environment.id))
            messages.success(request, f"The emails of {environment} are as chosen.")
            return HttpResponseRedirect(reverse(f"admin:{STEM}_changelist"))
        found = MessageSettings.objects.filter(pk=environment.id).order_by("pk").first()
        muted = found.muted_kinds if found else []
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Emails of {environment}",
            "environment": environment,
            "choices": [(kind.name, kind.label, kind.name not in muted) for kind in choices],
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/outbox/message_kinds_form.html", context)

    def _environment(self, request: HttpRequest, object_id: str) -> Environment:
        """
        Return the environment that an address names.

        :raises Http404: if it is not the user's. :raises PermissionDenied: if they may not change its emails.
        """
        access = access_of(request.user)
        if not access.may(Right.READ_SALES, object_id):
            raise Http404("There is no such page, or it is not yours to see.")
        if not access.may(Right.MUTE_MESSAGES, object_id):
            raise PermissionDenied
        return Environment.objects.select_related("merchant").get(id=object_id)

    @admin.display(description="Environment")
    def environment_name(self, row: MessageSettings) -> str:
        return str(row.environment)

    @admin.display(description="Written by the merchant")
    def muted(self, row: MessageSettings) -> str:
        return ", ".join(label_of(name) for name in row.muted_kinds) or "None: Flint sends them all"
