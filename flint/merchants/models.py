"""A merchant, its live environment and sandboxes, the keys that open them, and the staff who act in them."""

import zoneinfo

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from flint.ids import PublicIdField
from flint.records import EnvironmentQuerySet


def check_timezone(name: str) -> None:
    """Accept IANA time zones only."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"{name} is not a time zone of the IANA database.")


class SurplusPolicy(models.TextChoices):
    """What becomes of money that came in beyond what an order owes."""

    HOLD = "hold", "Hold it until somebody decides"
    REFUND = "refund", "Refund it automatically"


class Merchant(models.Model):
    """Who is owed. All that is sold, paid and refunded belongs to one of its environments."""

    id = PublicIdField(prefix="mer")
    name = models.CharField(max_length=200)
    business_name = models.CharField(max_length=200, blank=True)
    email = models.EmailField()
    phone = models.CharField(max_length=32, blank=True)
    address = models.JSONField(null=True, blank=True)
    website_url = models.CharField(max_length=2048, blank=True)
    support_email = models.EmailField(blank=True)
    support_phone = models.CharField(max_length=32, blank=True)
    support_url = models.CharField(max_length=2048, blank=True)
    reporting_timezone = models.CharField(max_length=64, default="UTC", validators=[check_timezone])
    surplus_policy = models.CharField(max_length=8, choices=SurplusPolicy.choices, default=SurplusPolicy.HOLD)
    metadata = models.JSONField(default=dict, blank=True)
    version = models.BigIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="merchant_surplus_policy_is_known", condition=Q(surplus_policy__in=SurplusPolicy.values)
            ),
        ]

    def __str__(self) -> str:
        return self.business_name or self.name


class Kind(models.TextChoices):
    """Real money, or none."""

    LIVE = "live", "Live"
    SANDBOX = "sandbox", "Sandbox"


class Environment(models.Model):
    """
    A merchant's live data, or one of its sandboxes. Environments never see each other.

    ``processor`` names the adapter that collects money here; empty when none is configured yet.
    """

    id = PublicIdField(prefix="env")
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, related_name="environments")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(max_length=100)
    sandbox_id = models.CharField(max_length=40, unique=True, null=True, blank=True, editable=False)  # noqa: DJ001
    is_default = models.BooleanField(default=False)
    processor = models.CharField(max_length=32, blank=True, default="sandbox")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="environment_one_live_per_merchant", fields=["merchant"], condition=Q(kind=Kind.LIVE)
            ),
            models.UniqueConstraint(
                name="environment_one_default_sandbox_per_merchant",
                fields=["merchant"],
                condition=Q(kind=Kind.SANDBOX, is_default=True),
            ),
            models.CheckConstraint(name="environment_kind_is_known", condition=Q(kind__in=Kind.values)),
            models.CheckConstraint(
                name="environment_that_is_live_never_plays_with_the_sandbox",
                condition=~Q(kind=Kind.LIVE, processor="sandbox"),
            ),
            models.CheckConstraint(
                name="environment_has_a_sandbox_id_iff_it_is_one",
                condition=Q(kind=Kind.SANDBOX, sandbox_id__isnull=False) | Q(kind=Kind.LIVE, sandbox_id__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.merchant}: {self.name}"

    @property
    def is_live(self) -> bool:
        """Whether real money moves here."""
        return self.kind == Kind.LIVE

    @property
    def mode(self) -> str:
        """``live`` or ``test``, the contract's word in headers and in key prefixes."""
        return "live" if self.is_live else "test"


class Settings(models.Model):
    """
    What a merchant chose in one environment, by section; see :mod:`flint.merchants.settings`. Defaults are not kept.

    An environment that never chose anything has no row, and is at version 1.
    """

    id = PublicIdField(prefix="set")
    environment = models.OneToOneField(Environment, on_delete=models.PROTECT, related_name="+")
    version = models.BigIntegerField(default=1)
    sections = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = EnvironmentQuerySet.as_manager()

    class Meta:
        verbose_name = "settings"
        verbose_name_plural = "settings"

    def __str__(self) -> str:
        return f"Settings of {self.environment}"

    @staticmethod
    def id_of(environment_id: str) -> str:
        """Return the id that an environment's settings have, or would have."""
        return f"set_{environment_id.removeprefix('env_')}"


class KeyStatus(models.TextChoices):
    """A revoked key stays so."""

    ACTIVE = "active", "Active"
    REVOKED = "revoked", "Revoked"


class ApiKey(models.Model):
    """A secret that acts in one environment within its scopes. Only a digest of the secret is kept."""

    id = PublicIdField(prefix="key")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=24, help_text="The first characters of the secret, to recognise it by.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=64))
    status = models.CharField(max_length=8, choices=KeyStatus.choices, default=KeyStatus.ACTIVE)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="api_key_is_revoked_at_a_time",
                condition=Q(status=KeyStatus.ACTIVE, revoked_at__isnull=True)
                | Q(status=KeyStatus.REVOKED, revoked_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Role(models.TextChoices):
    """What a staff member does for the merchant; each later one is narrower than owner."""

    OWNER = "owner", "Owner"
    FINANCE = "finance", "Finance"
    SUPPORT = "support", "Support"
    DEVELOPER = "developer", "Developer"


class StaffMember(models.Model):
    """A person who works for a merchant, and as what."""

    id = PublicIdField(prefix="stf")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    merchant = models.ForeignKey(Merchant, on_delete=models.PROTECT, related_name="staff")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="staff_member_once_per_merchant", fields=["user", "merchant"]),
            models.CheckConstraint(name="staff_member_role_is_known", condition=Q(role__in=Role.values)),
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"
