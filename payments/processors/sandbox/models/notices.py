"""What the network still has to tell, and the misfortunes planned for it."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from flint.ids import PublicIdField


class SandboxNotice(models.Model):
    """Something to tell the merchant's server, and how far we got. ``next_at`` is empty when there is no next try."""

    id = PublicIdField(prefix="sbn")
    environment_id = models.CharField(max_length=40)
    type = models.CharField(max_length=64)
    kind = models.CharField(max_length=16)
    reference = models.CharField(max_length=40)
    snapshot = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    next_at = models.DateTimeField(null=True, default=timezone.now)
    delivered_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    is_disturbed = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(
                name="sandbox_notice_waiting",
                fields=["next_at"],
                condition=Q(delivered_at__isnull=True, next_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.reference}"


class SandboxFault(models.Model):
    """A misfortune planned for an environment. ``remaining`` is empty for one that stays until it is cleared."""

    class On(models.TextChoices):
        CONFIRM = "confirm"
        CAPTURE = "capture"
        CANCEL = "cancel"
        REFUND = "refund"
        RETRIEVE = "retrieve"
        LIST = "list"
        SETUP = "setup"
        NOTICE = "notice"

    class Fault(models.TextChoices):
        LOSE_ANSWER = "lose_answer"
        NEVER_EXECUTED = "never_executed"
        REFUSE = "refuse"
        UNREACHABLE = "unreachable"
        DELAY = "delay"
        DUPLICATE = "duplicate"
        REORDER = "reorder"
        DROP = "drop"

    environment_id = models.CharField(max_length=40)
    on = models.CharField(max_length=16, choices=On.choices)
    fault = models.CharField(max_length=16, choices=Fault.choices)
    options = models.JSONField(default=dict)
    remaining = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(name="sandbox_fault_by_env", fields=["environment_id", "on"])]

    def __str__(self) -> str:
        return f"{self.fault} on {self.on}"
