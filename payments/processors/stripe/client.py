"""
Talking to Stripe through its SDK: one place that builds the client and turns what goes wrong into the contract's words.

The SDK repeats nothing by itself. Whether a call may be made again is decided by whoever wrote it down.
"""

import logging
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import requests
import stripe
import structlog
import urllib3.exceptions
from django.conf import settings

from flint.sealing import Unsealable
from payments.processors.base import Misconfigured, NoAnswer, ProcessorError, Refused, Unreachable
from payments.processors.stripe.mapping import Outcome, decline_code, outcome_of, refusal_code
from payments.processors.stripe.models import StripeAccount

API_VERSION = "2026-10-28.endive"
"""The version of Stripe's API that this adapter was written for; a newer SDK goes on asking for it."""

CONNECT_TIMEOUT = 5.0

# The SDK would keep an id of this machine in a file and send it along, with timings of earlier calls.
stripe.enable_telemetry = False
# At finer levels the SDK writes whole requests and answers, client secrets among them.
logging.getLogger("stripe").setLevel(logging.WARNING)

log = structlog.get_logger(__name__)

SECRETS = re.compile(r"\b(?:sk|rk|pk|whsec)_\S+|\b\w+_secret_\w+")


class StripeRefused(Refused):
    """A no from Stripe, with the PaymentIntent as it is now when the no is about one."""

    def __init__(self, code: str, message: str, *, intent: Mapping[str, Any] | None):
        super().__init__(code, message)
        self.intent = intent


@contextmanager
def talking(account: StripeAccount, call: str) -> Iterator[stripe.StripeClient]:
    """
    Give a client with an account's key, and turn the SDK's exceptions into the contract's.

    :raises StripeRefused, Unreachable, Misconfigured, NoAnswer: as ``mapping.CLASSES`` says.
    """
    try:
        key = account.secret_key.reveal()
    except Unsealable as error:
        raise Misconfigured(str(error)) from None
    try:
        yield _client(account, key)
    except stripe.StripeError as error:
        # The SDK's exception holds the raw answer; it goes no further than this.
        raise _translated(error, account, call) from None


def plain(thing: stripe.StripeObject | Mapping[str, Any]) -> dict[str, Any]:
    """Return an object of Stripe's as plain dicts and lists."""
    return thing.to_dict() if isinstance(thing, stripe.StripeObject) else dict(thing)


def is_replay(thing: stripe.StripeObject) -> bool:
    """Tell whether Stripe repeated an earlier answer, which then shows how things were at that time."""
    response = thing.last_response
    return response is not None and response.headers.get("Idempotent-Replayed") == "true"


def _client(account: StripeAccount, key: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_account=account.connected_account_id or None,
        stripe_version=API_VERSION,
        base_addresses={"api": account.api_base} if account.api_base else {},
        max_network_retries=0,
        http_client=_http_client(settings.STRIPE_TIMEOUT, account.is_local),
    )


@cache
def _http_client(timeout: float, is_local: bool) -> stripe.RequestsClient:
    session = None
    if is_local:
        # A proxy of the surroundings has no business with an address of this machine.
        session = requests.Session()
        session.trust_env = False
    return stripe.RequestsClient(timeout=(min(CONNECT_TIMEOUT, timeout), timeout), session=session)


def _translated(error: stripe.StripeError, account: StripeAccount, call: str) -> ProcessorError:
    outcome = outcome_of(error)
    if outcome is Outcome.UNKNOWN and isinstance(error, stripe.APIConnectionError) and was_never_sent(error):
        outcome = Outcome.NOT_DONE
    details = _details(error)
    say = log.error if outcome is Outcome.MISCONFIGURED else log.info
    say(
        "stripe.error",
        call=call,
        environment_id=account.environment_id,
        error=type(error).__name__,
        code=details.get("code"),
        decline_code=details.get("decline_code"),
        param=details.get("param"),
        http_status=error.http_status,
        request_id=error.request_id,
        outcome=outcome.value,
    )
    told = f"{type(error).__name__} on {call} (request {error.request_id or 'unknown'})"
    match outcome:
        case Outcome.MISCONFIGURED:
            return Misconfigured(f"Stripe does not accept the keys of {account.environment_id}: {told}")
        case Outcome.NOT_DONE:
            return Unreachable(f"Stripe did not carry it out: {told}")
        case Outcome.UNKNOWN:
            return NoAnswer(f"Stripe may or may not have carried it out: {told}")
    code = decline_code(details) if outcome is Outcome.DECLINED else refusal_code(details)
    return StripeRefused(code, words_of(details), intent=details.get("payment_intent"))


def was_never_sent(error: BaseException) -> bool:
    """
    Tell whether a network error surely came before the request left: no connection, or no trust in the other side.

    Anything else, a connection that broke or fell silent, may have come after Stripe had done it.
    """
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop()
        if not isinstance(cause, BaseException) or cause in seen:
            continue
        seen.append(cause)
        if isinstance(
            cause,
            urllib3.exceptions.NewConnectionError
            | urllib3.exceptions.ConnectTimeoutError
            | requests.exceptions.ConnectTimeout
            | ssl.SSLCertVerificationError,
        ):
            return True
        inner = (getattr(cause, name, None) for name in ("reason", "original_error", "__cause__"))
        waiting += [*cause.args, *inner]
    return False


def words_of(details: Mapping[str, Any]) -> str:
    """Return Stripe's words for people, with whatever looks like a secret taken out."""
    return SECRETS.sub("…", str(details.get("message") or ""))[:500]


def _details(error: stripe.StripeError) -> Mapping[str, Any]:
    body = error.json_body
    details = body.get("error") if isinstance(body, dict) else None
    return details if isinstance(details, dict) else {}
