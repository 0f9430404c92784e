"""Merchants in the admin: what is set up, for owners and developers. Secrets are not kept, so none can be shown."""

import zoneinfo
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from flint.admin import ReadOnlyAdmin, badge, environment_badge, moment, staff_actor
from flint.api.addresses import in_one_line
from flint.errors import FlintError
from flint.merchants import profile, services
from flint.merchants.models import ApiKey, Environment, Merchant, StaffMember, SurplusPolicy
from flint.merchants.settings import forms, pages
from flint.merchants.staff import Access, Right, access_of

environment_links: list[Callable[[HttpRequest, Environment], tuple[str, str] | None]] = []
"""Where else an environment can be looked at. Each says a label and an address, or nothing to whom it is not for."""


class SetupAdmin(ReadOnlyAdmin):
    """Pages about a merchant itself."""

    right = Right.READ_SETUP
    group = "Setup"

    @admin.display(description="Created")
    def created(self, row: Any) -> str:
        return moment(row.created_at)


@admin.register(Merchant)
class MerchantAdmin(SetupAdmin):
    icon = "storefront"
    rank = 6
    list_display = ("name", "business_name", "email", "reporting_timezone", "created")
    fields = ("id", "name", "business_name", "email", "phone", "address_told", "website_url")
    fields += ("support_email", "support_phone", "support_url", "reporting_timezone", "surplus", "created")
    readonly_fields = fields
    change_form_outer_before_template = "admin/surplus_policy.html"

    def theirs(self, access: Access) -> Q:
        return Q(id__in=access.merchant_ids(self.right))

    def extra_urls(self) -> list[URLPattern]:
        surplus, profile = (self.admin_site.admin_view(view) for view in (self.surplus_view, self.profile_view))
        return [
            path("<str:object_id>/surplus/", surplus, name="merchants_merchant_surplus"),
            path("<str:object_id>/profile/", profile, name="merchants_merchant_profile"),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Show a merchant, with the choice of what becomes of a surplus for those who may make it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        merchant = self.find(request, object_id)
        more: dict[str, Any] = (
            {"policies": SurplusPolicy.choices} if _may(request, Right.CHOOSE_POLICY, merchant) else {}
        )
        if _may(request, Right.CHOOSE_SETTINGS, merchant):
            more["profile_url"] = reverse("admin:merchants_merchant_profile", args=[merchant.id])
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def surplus_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Keep what was chosen; anything else than a policy is refused."""
        merchant = self.find(request, object_id)
        if not _may(request, Right.CHOOSE_POLICY, merchant):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        environment_id = merchant.environments.order_by("id").values_list("id", flat=True)[0]
        actor = staff_actor(request, environment_id)
        try:
            services.set_surplus_policy(merchant_id=merchant.id, policy=request.POST.get("policy", ""), actor=actor)
        except FlintError as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, "What becomes of a surplus is as chosen.")
        return HttpResponseRedirect(reverse("admin:merchants_merchant_change", args=[merchant.id]))

    def profile_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask who the merchant is and how it is reached, and keep it."""
        merchant = self.find(request, object_id)
        if not _may(request, Right.CHOOSE_SETTINGS, merchant):
            raise PermissionDenied
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        back = reverse("admin:merchants_merchant_change", args=[merchant.id])
        widgets = forms.form_of(profile.PROFILE, profile.values_of(merchant), "")
        problems, status = [], 200
        if request.method == "POST":
            try:
                profile.keep(request, merchant)
            except FlintError as refusal:
                merchant.refresh_from_db()
                widgets = forms.typed_form(profile.PROFILE, request.POST, {}, "")
                problems, status = forms.put_errors(widgets, pages.by_path(refusal, profile.PROFILE)), 400
            else:
                messages.success(request, "The merchant is as typed.")
                return HttpResponseRedirect(back)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": str(merchant),
            "back_url": back,
            "back_text": str(merchant),
            "section": profile.PROFILE,
            "version": merchant.version,
            "widgets": widgets,
            "problems": problems,
            "timezones": sorted(zoneinfo.available_timezones()),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/settings/form.html", context, status=status)

    @admin.display(description="Address")
    def address_told(self, merchant: Merchant) -> str:
        return in_one_line(merchant.address) or "–"

    @admin.display(description="Paid beyond what was owed")
    def surplus(self, merchant: Merchant) -> str:
        return merchant.get_surplus_policy_display()


def _may(request: HttpRequest, right: Right, merchant: Merchant) -> bool:
    return merchant.id in access_of(request.user).merchant_ids(right)


@admin.register(Environment)
class EnvironmentAdmin(SetupAdmin):
    icon = "deployed_code"
    rank = 7
    list_display = ("name", "kind_badge", "merchant", "processor", "is_default", "created")
    list_select_related = ("merchant",)
    fields = ("id", "merchant_name", "name", "kind", "sandbox_id", "processor", "is_default", "created")
    readonly_fields = fields
    change_form_outer_before_template = "admin/environment_links.html"

    def theirs(self, access: Access) -> Q:
        return Q(id__in=access.environment_ids(self.right))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Environment | None = None, **kwargs: Any
    ) -> HttpResponse:
        """Show an environment, and where else it can be looked at."""
        context["links"] = [found for link in environment_links if obj and (found := link(request, obj))]
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    @admin.display(description="Kind")
    def kind_badge(self, environment: Environment) -> str:
        return environment_badge(environment)

    @admin.display(description="Merchant")
    def merchant_name(self, environment: Environment) -> str:
        return str(environment.merchant)


@admin.register(ApiKey)
class ApiKeyAdmin(SetupAdmin):
    icon = "key"
    title = "API keys"
    rank = 8
    list_display = ("name", "begins_with", "status_badge", "environment_column", "last_used", "expires", "created")
    list_select_related = ("environment__merchant",)
    fields = ("id", "name", "begins_with", "status", "scope_list", "environment_name")
    fields += ("last_used", "expires", "revoked", "created")
    readonly_fields = fields

    @admin.display(description="Begins with")
    def begins_with(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    @admin.display(description="Status")
    def status_badge(self, key: ApiKey) -> str:
        return badge(key.status)

    @admin.display(description="Scopes")
    def scope_list(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="Environment")
    def environment_name(self, key: ApiKey) -> str:
        return str(key.environment)

    @admin.display(description="Last used")
    def last_used(self, key: ApiKey) -> str:
        return moment(key.last_used_at)

    @admin.display(description="Expires")
    def expires(self, key: ApiKey) -> str:
        return moment(key.expires_at)

    @admin.display(description="Revoked")
    def revoked(self, key: ApiKey) -> str:
        return moment(key.revoked_at)


@admin.register(StaffMember)
class StaffMemberAdmin(SetupAdmin):
    right = Right.READ_STAFF
    icon = "group"
    title = "Staff"
    rank = 9
    list_display = ("user", "role", "merchant", "created")
    list_select_related = ("user", "merchant")
    fields = ("id", "username", "role", "merchant_name", "created")
    readonly_fields = fields

    def theirs(self, access: Access) -> Q:
        return Q(merchant_id__in=access.merchant_ids(self.right))

    @admin.display(description="User")
    def username(self, member: StaffMember) -> str:
        return member.user.get_full_name() or member.user.get_username()

    @admin.display(description="Merchant")
    def merchant_name(self, member: StaffMember) -> str:
        return str(member.merchant)
