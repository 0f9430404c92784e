"""Idempotency of the network: one operation id is carried out once, for as long as it is remembered."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from payments.processors.base import Refused
from payments.processors.sandbox.models import SandboxOperation

REMEMBERED_FOR = timedelta(hours=24)
"""After this long the network no longer knows an operation id, and would carry it out again."""


def once(
    environment_id: str, operation_id: str, kind: str, parameters: dict[str, Any], perform: Callable[[], str]
) -> str:
    """
    Perform an operation unless it was performed already, and return the reference of what it made or changed.

    Two callers with the same id meet at the unique row: the second waits for the first to commit. What was refused
    rolls the row back with it, so a refusal may be tried again.

    :raises Refused: ``idempotency_mismatch`` if the id was used for something else.
    """
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
    operation, is_new = SandboxOperation.objects.get_or_create(
        environment_id=environment_id, operation_id=operation_id, defaults={"kind": kind, "digest": digest}
    )
    if is_new:
        operation.reference = perform()
        operation.save(update_fields=["reference"])
    elif (operation.kind, operation.digest) != (kind, digest):
        raise Refused("idempotency_mismatch", f"{operation_id} was used before with other parameters.")
    return operation.reference


def forget(at: datetime, environment_id: str | None = None) -> int:
    """Forget operation ids that are older than a day, and return how many."""
    old = SandboxOperation.objects.filter(created_at__lt=at - REMEMBERED_FOR)
    if environment_id is not None:
        old = old.filter(environment_id=environment_id)
    return old.delete()[0]
