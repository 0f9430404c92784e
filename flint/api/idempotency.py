"""
One effect per idempotency key. Put ``@idempotent`` on a view's method.

Work of our own commits together with its answer, so a refusal leaves no trace. Work that calls a processor between
transactions (``@idempotent(external=True)``) first claims the key for a minute; who crashes leaves the claim behind,
and a repeat after that minute runs the view again, whose service finds its own attempt by the command's key.
"""

import hashlib
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial, wraps
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from flint.actors import Command
from flint.api import wire
from flint.api.errors import InternalError, refusal_of
from flint.api.models import IdempotencyRecord
from flint.api.responses import Reply
from flint.errors import Conflict, InvalidInput
from flint.sealing import Unsealable

MAX_KEY = 255
PRINTABLE = re.compile(r"[\x20-\x7e]+")
LEASE = timedelta(seconds=60)
KEPT = timedelta(hours=48)


class InvalidIdempotencyKey(InvalidInput):
    code = "INVALID_IDEMPOTENCY_KEY"
    message = f"An Idempotency-Key has 1 to {MAX_KEY} printable ASCII characters."


class IdempotencyKeyTooLong(InvalidIdempotencyKey):
    code = "IDEMPOTENCY_KEY_TOO_LONG"


class IdempotencyKeyReused(Conflict):
    code = "IDEMPOTENCY_KEY_REUSED"
    message = "This Idempotency-Key was sent with another request before. Use a new key for a new request."


class IdempotencyKeyInProgress(Conflict):
    code = "IDEMPOTENCY_KEY_IN_PROGRESS"
    message = "The first request with this Idempotency-Key is still running. Repeat it in a moment."
    retryable = True

    def __init__(self):
        super().__init__(retry_after=1)


class SensitiveIdempotencyResultInvalid(Conflict):
    code = "SENSITIVE_IDEMPOTENCY_RESULT_INVALID"
    message = "The first request had its effect, but its answer can no longer be opened. Read the resource instead."


class IdempotencyKeyRequired(InvalidInput):
    code = "IDEMPOTENCY_KEY_REQUIRED"
    message = "Send an Idempotency-Key: what this makes is known by it for good."


def take_key(given: str | None) -> str:
    """
    Return the key that a caller sent, or a new one if none was sent.

    :raises InvalidIdempotencyKey: if it is empty or not printable ASCII.
    :raises IdempotencyKeyTooLong: if it is longer than 255 characters.
    """
    if given is None:
        return str(uuid.uuid4())
    if len(given) > MAX_KEY:
        raise IdempotencyKeyTooLong()
    if not PRINTABLE.fullmatch(given):
        raise InvalidIdempotencyKey()
    return given


def idempotent(method: Callable | None = None, *, external: bool = False) -> Callable:
    """
    Let a method of a view have one effect per key, and answer a repeat with what was answered first.

    The actor on the request then carries the :class:`~flint.actors.Command`.

    :param external: the method calls a processor, so it runs outside any transaction.
    :raises IdempotencyKeyReused: if the key came with another request before.
    :raises IdempotencyKeyInProgress: if the first request with the key still runs.
    """
    if method is None:
        return partial(idempotent, external=external)

    @wraps(method)
    def once(view, request, *args, **kwargs):
        command = Command(key=_name(request), digest=digest_of(request, view.payload()))
        request.actor = request.actor.with_command(command)
        run = partial(method, view, request, *args, **kwargs)
        reply = (_external if external else _local)(request, command, run)
        return view.as_replayed(reply) if reply.is_replayed else reply

    once.idempotent = "external" if external else "local"
    return once


def require_key(request: Any) -> None:
    """:raises IdempotencyKeyRequired: if the caller sent no key of its own."""
    if not request.idempotency_key_given:
        raise IdempotencyKeyRequired(param="Idempotency-Key")


def named_by_key(method: Callable) -> Callable:
    """
    Let what a method of a view makes be known by the caller's key, for as long as it exists.

    The key must be sent. Nothing is recorded here: the service finds by the actor's command what it made before.

    :raises IdempotencyKeyRequired: if no key was sent.
    """

    @wraps(method)
    def named(view, request, *args, **kwargs):
        require_key(request)
        command = Command(key=_name(request), digest=digest_of(request, view.payload()))
        request.actor = request.actor.with_command(command)
        return method(view, request, *args, **kwargs)

    named.idempotent = "named"
    return named


def digest_of(request: Any, payload: Any) -> str:
    """Return a digest of what is asked: verb, path, query and body, in a form that ignores the order of members."""
    asked = [request.method, request.path, sorted(request.GET.lists()), payload]
    return hashlib.sha256(wire.canonical(asked)).hexdigest()


def _local(request: Any, command: Command, run: Callable[[], Reply]) -> Reply:
    environment_id, name = request.actor.environment_id, command.key
    with transaction.atomic():
        # A key that we made up a moment ago cannot be in use.
        if request.idempotency_key_given:
            if not _lock(environment_id, name):
                raise IdempotencyKeyInProgress()
            if record := _find(environment_id, name):
                return _replay(record, command, request)
        response = run()
        try:
            IdempotencyRecord.objects.create(
                **_identity(request, command), state=IdempotencyRecord.State.DONE, **_answer_of(response)
            )
        except IntegrityError:
            # A call to a processor claimed the same key in between; it takes no lock.
            raise IdempotencyKeyInProgress() from None
    return response


def _external(request: Any, command: Command, run: Callable[[], Reply]) -> Reply:
    _refuse_open_transaction()
    claim = uuid.uuid4().hex
    if answered := _claim(request, command, claim):
        return answered
    ours = IdempotencyRecord.objects.filter(environment_id=request.actor.environment_id, key=command.key, claim=claim)
    try:
        response = run()
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        # After a refusal the key is free again. After a crash nobody knows, so the claim stays until its lease ends.
        if not isinstance(refusal_of(error), InternalError):
            ours.delete()
        raise
    ours.update(state=IdempotencyRecord.State.DONE, lease_until=None, **_answer_of(response))
    return response


def _claim(request: Any, command: Command, claim: str) -> Reply | None:
    """Claim the key, or return what was answered before."""
    lease_until = timezone.now() + LEASE
    record = IdempotencyRecord(
        **_identity(request, command), state=IdempotencyRecord.State.IN_PROGRESS, claim=claim, lease_until=lease_until
    )
    IdempotencyRecord.objects.bulk_create([record], ignore_conflicts=True)
    if not request.idempotency_key_given:
        return None
    stored = _find(record.environment_id, record.key)
    if stored is None:
        # Its owner was refused and let go between our two statements.
        raise IdempotencyKeyInProgress()
    if stored.claim == claim:
        return None
    if stored.state == IdempotencyRecord.State.DONE or stored.digest != command.digest:
        return _replay(stored, command, request)
    if stored.lease_until > timezone.now():
        raise IdempotencyKeyInProgress()
    abandoned = IdempotencyRecord.objects.filter(id=stored.id, claim=stored.claim, state=stored.state)
    if not abandoned.update(claim=claim, lease_until=lease_until):
        raise IdempotencyKeyInProgress()
    return None


def _lock(environment_id: str, key: str) -> bool:
    """Lock the key until the transaction ends; return False if another one holds it."""
    name = hashlib.sha256(f"idempotency:{environment_id}:{key}".encode()).digest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [int.from_bytes(name[:8], signed=True)])
        return cursor.fetchone()[0]


def _find(environment_id: str, key: str) -> IdempotencyRecord | None:
    return IdempotencyRecord.objects.filter(environment_id=environment_id, key=key).order_by("id").first()


def _name(request: Any) -> str:
    """
    Return what a command goes by, here and on the rows that it writes.

    A buyer's keys are its session's own, and those of anybody at all the link's that they use: they neither replay nor
    block the merchant's, or each other.
    """
    key = request.idempotency_key
    return key if request.actor.kind == "key" else f"{request.actor.id} {key}"


def _identity(request: Any, command: Command) -> dict[str, Any]:
    return {
        "environment_id": request.actor.environment_id,
        "key": command.key,
        "digest": command.digest,
        "operation": f"{request.method} {request.path}"[:255],
    }


def _answer_of(response: Reply) -> dict[str, Any]:
    return {
        "response_status": response.status_code,
        "response_body": response.payload.decode(),
        "response_meta": response.meta,
    }


def _replay(record: IdempotencyRecord, command: Command, request: Any) -> Reply:
    if record.digest != command.digest:
        raise IdempotencyKeyReused()
    if record.state != IdempotencyRecord.State.DONE:
        raise IdempotencyKeyInProgress()
    try:
        answer = record.response_body.reveal()
    except Unsealable:
        raise SensitiveIdempotencyResultInvalid() from None
    return Reply(
        answer.encode(),
        request_id=request.request_id,
        status=record.response_status,
        meta=record.response_meta,
        replayed=True,
    )


def _refuse_open_transaction() -> None:
    if any(not block._from_testcase for block in connection.atomic_blocks):
        raise RuntimeError("A processor is called between transactions, never inside one.")


def purge_idempotency_records(*, at: datetime | None = None, batch: int = 5_000) -> int:
    """
    Delete records older than 48 hours, twice what the contract promises, in batches; return how many.

    For the beat schedule; see :mod:`flint.api.tasks`.
    """
    before = (at or timezone.now()) - KEPT
    deleted = 0
    while True:
        old = IdempotencyRecord.objects.filter(created_at__lt=before).order_by("created_at").values("id")[:batch]
        count, _ = IdempotencyRecord.objects.filter(id__in=old).delete()
        deleted += count
        if count < batch:
            return deleted
