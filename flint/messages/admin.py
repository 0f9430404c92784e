"""Messages in the admin: what was sent to whom, and what could not be."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from flint.admin import EnvironmentFilter, ReadOnlyAdmin, badge, moment, words
from flint.messages.kinds import label_of
from flint.messages.models import Message


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
