"""
What the network tells the merchant's server: written with the change it reports, signed, and sent until it is heard.

A notice is a hint. It is signed over the raw bytes, and whoever reads it asks for the object's state anyway.
"""

import base64
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

import httpx
from django.conf import settings
from django.db import transaction

from payments.processors.base import BadSignature, Notice, refuse_inside_transaction
from payments.processors.sandbox import faults, states
from payments.processors.sandbox.accounts import account_of
from payments.processors.sandbox.models import (
    SandboxAccount,
    SandboxDispute,
    SandboxFault,
    SandboxNotice,
    SandboxPayment,
    SandboxPayout,
    SandboxRefund,
)

HEADER = "Sandbox-Signature"
TOLERANCE = timedelta(seconds=300)
TIMEOUT = 5.0
BATCH = 20
LEASE = timedelta(seconds=120)
"""How long a sender may take over a batch before another one picks it up: longer than if every call timed out."""
HELD_BACK = timedelta(seconds=5)
"""How long a reordered notice waits for one to overtake it."""
FIRST_RETRY = timedelta(seconds=5)
LONGEST_RETRY = timedelta(hours=1)
MAX_ATTEMPTS = 20

Fault = SandboxFault.Fault
Post = Callable[[str, bytes, dict[str, str]], int]


def write_about_payment(payment: SandboxPayment, type: str, *, at: datetime) -> SandboxNotice:
    """Write a notice that something happened to a payment."""
    snapshot = states.payment_snapshot(payment)
    return write(payment.environment_id, type, "payment", payment.reference, snapshot=snapshot, at=at)


def write_about_refund(refund: SandboxRefund, type: str, *, at: datetime) -> SandboxNotice:
    """Write a notice that something happened to a refund."""
    snapshot = states.refund_snapshot(refund)
    return write(refund.environment_id, type, "refund", refund.reference, snapshot=snapshot, at=at)


def write_about_dispute(dispute: SandboxDispute, type: str, *, at: datetime) -> SandboxNotice:
    """Write a notice that something happened to a dispute."""
    snapshot = states.dispute_snapshot(dispute)
    return write(dispute.environment_id, type, "dispute", dispute.reference, snapshot=snapshot, at=at)


def write_about_payout(payout: SandboxPayout, type: str, *, at: datetime) -> SandboxNotice:
    """Write a notice that something happened to a payout."""
    snapshot = states.payout_snapshot(payout)
    return write(payout.environment_id, type, "payout", payout.reference, snapshot=snapshot, at=at)


def write(
    environment_id: str,
    type: str,
    kind: Literal["payment", "refund", "setup", "dispute", "payout", "other"],
    reference: str,
    *,
    at: datetime,
    snapshot: dict[str, Any] | None = None,
) -> SandboxNotice:
    """Write any notice, to go out after commit."""
    from flint.celery import after_commit
    from payments.processors.sandbox import tasks

    notice = SandboxNotice.objects.create(
        environment_id=environment_id,
        type=type,
        kind=kind,
        reference=reference,
        snapshot=snapshot or {},
        created_at=at,
        next_at=at,
    )
    after_commit(tasks.deliver_notices, environment_id=environment_id)
    return notice


def body_of(notice: SandboxNotice) -> bytes:
    """Return the bytes that are sent, and signed."""
    return json.dumps(
        {
            "id": notice.id,
            "type": notice.type,
            "kind": notice.kind,
            "reference": notice.reference,
            "created_at": notice.created_at.astimezone(UTC).isoformat(),
            "environment_id": notice.environment_id,
            "object": notice.snapshot,
        },
        separators=(",", ":"),
    ).encode()


def sign(account: SandboxAccount, body: bytes, at: datetime) -> str:
    """Return the signature header: the time, and one signature for each secret that is believed."""
    moment = int(at.timestamp())
    return ",".join([f"t={moment}", *(f"v1={_digest(secret, moment, body)}" for secret in account.secrets)])


def read(*, environment_id: str, headers: Mapping[str, str], body: bytes, at: datetime) -> Notice:
    """
    Verify a notice on its raw bytes and read it.

    :raises BadSignature: if no believed secret signed these bytes for this environment within the tolerance.
    """
    account = SandboxAccount.objects.filter(environment_id=environment_id).order_by("environment_id").first()
    moment, signatures = _parse(next((value for name, value in headers.items() if name.lower() == HEADER.lower()), ""))
    if account is None or abs(at.timestamp() - moment) > TOLERANCE.total_seconds():
        raise BadSignature("unknown account, or outside the tolerance")
    expected = [_digest(secret, moment, body) for secret in account.secrets]
    matches = [hmac.compare_digest(mine.encode(), theirs.encode()) for mine in expected for theirs in signatures]
    if not any(matches):
        raise BadSignature("no signature matches")
    try:
        payload = json.loads(body)
        notice = Notice(
            id=payload["id"],
            type=payload["type"],
            kind=payload["kind"],
            reference=payload["reference"],
            created_at=datetime.fromisoformat(payload["created_at"]),
            payload=payload,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadSignature("signed, but not a notice") from error
    if payload.get("environment_id") != environment_id:
        raise BadSignature("signed for another environment")
    return notice


def deliver(at: datetime, environment_id: str | None = None, post: Post | None = None) -> int:
    """
    Send the notices that are due, oldest first, through any planned fault, and return how many were heard.

    A notice that is not answered with 2xx is sent again, later and later, and given up after ``MAX_ATTEMPTS``.
    ``post`` sends the bytes and returns the status; without it they go over HTTP.
    """
    refuse_inside_transaction()
    heard = 0
    while waiting := deque(_claim(at, environment_id)):
        heard += _send_all(waiting, at, _over_http if post is None else post)
    return heard


def _send_all(waiting: deque[SandboxNotice], at: datetime, post: Post) -> int:
    heard = 0
    while waiting:
        notice = waiting.popleft()
        fault = None if notice.is_disturbed else faults.take(notice.environment_id, "notice")
        kind, options = (fault.fault, fault.options) if fault else ("", {})
        match kind:
            case Fault.DROP:
                _save(notice, next_at=None)
            case Fault.DELAY:
                _save(notice, is_disturbed=True, next_at=at + timedelta(seconds=options.get("seconds", 5)))
            case Fault.REORDER if waiting:
                notice.is_disturbed = True
                waiting.append(notice)
            case Fault.REORDER:
                _save(notice, is_disturbed=True, next_at=at + HELD_BACK)
            case Fault.UNREACHABLE:
                _try_later(notice, at)
            case _:
                copies = 1 + (options.get("count", 1) if kind == Fault.DUPLICATE else 0)
                answers = [_send(notice, at, post) for _ in range(copies)]
                if any(answers) and kind != Fault.LOSE_ANSWER:
                    _save(notice, delivered_at=at, next_at=None)
                    heard += 1
                else:
                    _try_later(notice, at)
    return heard


def _claim(at: datetime, environment_id: str | None) -> list[SandboxNotice]:
    with transaction.atomic():
        due = SandboxNotice.objects.filter(delivered_at__isnull=True, next_at__lte=at)
        if environment_id is not None:
            due = due.filter(environment_id=environment_id)
        notices = list(due.select_for_update(skip_locked=True).order_by("created_at", "id")[:BATCH])
        for notice in notices:
            notice.next_at = at + LEASE
        SandboxNotice.objects.bulk_update(notices, ["next_at"])
    return notices


def _send(notice: SandboxNotice, at: datetime, post: Post) -> bool:
    base_url = getattr(settings, "INTERNAL_URL", "") or settings.BASE_URL
    url = f"{base_url}/notices/sandbox/{notice.environment_id}"
    body = body_of(notice)
    headers = {"Content-Type": "application/json", HEADER: sign(account_of(notice.environment_id), body, at)}
    return 200 <= post(url, body, headers) < 300


@cache
def _client() -> httpx.Client:
    # The address is this install's own, so no proxy of the surroundings applies.
    return httpx.Client(timeout=TIMEOUT, trust_env=False)


def _over_http(url: str, body: bytes, headers: dict[str, str]) -> int:
    try:
        return _client().post(url, content=body, headers=headers).status_code
    except httpx.HTTPError:
        return 0


def _try_later(notice: SandboxNotice, at: datetime) -> None:
    attempts = notice.attempts + 1
    wait = min(FIRST_RETRY * 2 ** (attempts - 1), LONGEST_RETRY)
    _save(notice, attempts=attempts, next_at=at + wait if attempts < MAX_ATTEMPTS else None)


def _save(notice: SandboxNotice, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(notice, name, value)
    notice.save(update_fields=[*changes, "is_disturbed"])


def _digest(secret: str, moment: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return hmac.new(key, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()


def _parse(header: str) -> tuple[int, list[str]]:
    pairs = [part.strip().partition("=") for part in header.split(",")]
    signatures = [value for name, _, value in pairs if name == "v1"]
    times = [value for name, _, value in pairs if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12) or not signatures:
        raise BadSignature("no signature")
    return int(times[0]), signatures
