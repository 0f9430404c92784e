"""The HTTP side: who is asking, which call it is, whether it was made before, and what goes wrong with it."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from flint.testing.stripe_server import forms, shapes
from flint.testing.stripe_server.errors import ApiError, invalid
from flint.testing.stripe_server.faults import Fault, Faults
from flint.testing.stripe_server.memory import Answer, Memory
from flint.testing.stripe_server.network import Book, Clock
from flint.testing.stripe_server.routes import Route, find_route
from flint.testing.stripe_server.webhooks import Endpoint, Post, Webhooks

VERSION = "2026-10-28.endive"
LONGEST_WAIT = 30


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    method: str
    path: str
    sent: dict[str, Any]
    idempotency_key: str
    version: str
    account: str


@dataclass
class Account:
    """One account in one mode: its keys, its book and its events."""

    id: str
    livemode: bool
    book: Book
    webhooks: Webhooks
    connected: set[str] = field(default_factory=set)


class StripeServer:
    """The server and its controls. As a context manager it listens on a free port of 127.0.0.1."""

    def __init__(self, port: int = 0):
        self.reset()
        self.http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.http.daemon_threads = True
        self.http.block_on_close = False

    def reset(self) -> None:
        """Forget everything, as if nobody had used it before; it goes on listening."""
        self.clock = Clock()
        self.faults = Faults()
        self.memory = Memory(self.clock.now)
        self.accounts: dict[tuple[str, bool], Account] = {}
        self.keys: dict[str, Account] = {}
        self.calls: list[Request] = []
        self.account = self.open_account()
        self.secret_key = self.new_key(self.account)
        self.publishable_key = shapes.new_id("pk_test")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.http.server_port}"

    @property
    def book(self) -> Book:
        """The first account's payments and refunds."""
        return self.account.book

    def __enter__(self) -> "StripeServer":
        Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.faults.clear()
        self.http.shutdown()
        self.http.server_close()

    # Controls

    def open_account(self, id: str = "", *, livemode: bool = False) -> Account:
        """Add an account in one mode. One that is connected to another is reached by the other's key as well."""
        id = id or shapes.new_id("acct")
        webhooks = Webhooks(self.clock.now, livemode=livemode, version=VERSION)
        account = Account(id, livemode, Book(self.clock, livemode=livemode, emit=webhooks.emit), webhooks)
        self.accounts[id, livemode] = account
        return account

    def new_key(self, account: Account) -> str:
        """Hand out a secret key."""
        key = shapes.new_id(f"sk_{'live' if account.livemode else 'test'}")
        self.keys[key] = account
        return key

    def add_endpoint(self, url: str, secret: str) -> Endpoint:
        """Have the first account's events sent somewhere."""
        return self.account.webhooks.add_endpoint(url, secret)

    def deliver(self, post: Post | None = None) -> int:
        """Send every event that is due, and return how many were heard."""
        return sum(account.webhooks.deliver(post) for account in self.accounts.values())

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that was due by then."""
        self.clock.ahead += seconds
        for account in self.accounts.values():
            with account.book.lock:
                account.book.pass_time()

    def authenticate(self, intent_id: str, *, passed: bool) -> None:
        """Let the buyer pass 3-D Secure, or fail it, while paying or while saving a card."""
        with self.book.lock:
            if intent_id.startswith("seti_"):
                self.book.authenticate_setup(intent_id, passed=passed)
            else:
                self.book.authenticate(intent_id, passed=passed)

    def confirm_setup(self, setup_id: str, token: str = "pm_card_visa") -> None:
        """Let the browser give a card to be saved; a bank that says no shows in the setup."""
        with self.book.lock, suppress(ApiError):
            self.book.confirm_setup(self.book.find_setup(setup_id), {"payment_method": token})

    def moves(self) -> list[Request]:
        """Return the calls that asked for something to be changed, in the order they came."""
        return [call for call in self.calls if call.method == "POST"]

    # One request

    def answer(self, request: Request, authorization: str) -> tuple[Answer, Fault | None, bool]:
        """Return the answer, the misfortune that is planned for it, and whether it is a repeat of an earlier one."""
        self.calls.append(request)
        try:
            account = self._account(authorization, request)
            if not re.fullmatch(r"\d{4}-\d\d-\d\d(\.\w+)?", request.version):
                raise invalid(f"Invalid Stripe API version: {request.version}")
            route, ids = find_route(request.method, request.path)
        except ApiError as error:
            return (error.status, error.body), None, False
        fault = self.faults.take(route.call(request.sent))
        if fault and (fault.kind == "drop" or _is_turned_down(fault)):
            return (_planned(fault) if fault.kind == "error" else (0, {})), fault, False
        answer, is_repeat = self._remembered(account, request, route, ids, fault)
        return answer, fault, is_repeat

    def _remembered(
        self, account: Account, request: Request, route: Route, ids: list[str], fault: Fault | None
    ) -> tuple[Answer, bool]:
        def carry_out() -> Answer:
            if fault and fault.kind == "error" and not fault.options.get("after"):
                return _planned(fault)
            try:
                with account.book.lock:
                    answer = 200, route.perform(account, params, *ids)
            except ApiError as error:
                answer = error.status, error.body
            return _planned(fault) if fault and fault.kind == "error" else answer

        try:
            params = forms.check(request.sent, route.takes, route.required)
            if request.method != "POST" or not request.idempotency_key:
                return carry_out(), False
            scope = f"{account.id}/{account.livemode}"
            earlier = self.memory.begin(scope, request.idempotency_key, request.path, request.sent)
        except ApiError as error:
            return (error.status, error.body), False
        if earlier is not None:
            return earlier, True
        answer: Answer | None = None
        try:
            answer = carry_out()
        finally:
            # A call that was turned down for an object it names may count as begun or not, by the documents. It is not
            # kept here; nobody may rely on either.
            is_kept = answer is not None and answer[0] not in (400, 404)
            self.memory.end(scope, request.idempotency_key, answer if is_kept else None)
        return answer, False

    def _account(self, authorization: str, request: Request) -> Account:
        scheme, _, key = authorization.partition(" ")
        if scheme != "Bearer" or not key:
            raise ApiError(401, "invalid_request_error", "You did not provide an API key.")
        own = self.keys.get(key)
        if own is None:
            hidden = f"{key[:8]}{'*' * 8}{key[-4:]}"
            raise ApiError(401, "invalid_request_error", f"Invalid API Key provided: {hidden}")
        if not request.account or request.account == own.id:
            return own
        connected = self.accounts.get((request.account, own.livemode))
        if connected is None or request.account not in own.connected:
            message = f"The provided key does not have access to account '{request.account}'."
            raise ApiError(403, "invalid_request_error", message, code="account_invalid")
        return connected


def _is_turned_down(fault: Fault) -> bool:
    """Tell an error that comes before a call is taken up; such an answer is not remembered."""
    return fault.kind == "error" and fault.options.get("status", 500) in (401, 403, 429)


def _planned(fault: Fault) -> Answer:
    status = fault.options.get("status", 500)
    fields = {name: fault.options[name] for name in ("code", "param", "decline_code") if name in fault.options}
    kind = fault.options.get("type", "invalid_request_error" if status < 500 else "api_error")
    return status, ApiError(status, kind, fault.options.get("message", "It was planned to go wrong."), **fields).body


def _handler(server: StripeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._serve(urlsplit(self.path).query)

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

        def _serve(self, form: str) -> None:
            path = urlsplit(self.path).path
            try:
                sent = forms.parse(form)
            except ApiError as error:
                self._send(error.status, json.dumps(error.body).encode())
                return
            if path.startswith("/_test/"):
                self._control(path, sent)
                return
            request = Request(
                self.command,
                path,
                sent,
                self.headers.get("Idempotency-Key", ""),
                self.headers.get("Stripe-Version", VERSION),
                self.headers.get("Stripe-Account", ""),
            )
            (status, body), fault, is_repeat = server.answer(request, self.headers.get("Authorization", ""))
            kind = fault.kind if fault else ""
            if kind in ("drop", "lose_answer"):
                self.close_connection = True
                return
            if kind == "slow":
                fault.gate.wait(LONGEST_WAIT)
            if kind == "garbage":
                self._send(502, b"<html>Bad gateway</html>", type="text/html")
                return
            self._send(status, json.dumps(body).encode(), replayed=is_repeat)

        def _control(self, path: str, sent: dict[str, str]) -> None:
            """What only a test may do: ``/_test/payment_intents/pi_…/authenticate``, ``/_test/advance``."""
            try:
                if match := re.fullmatch(r"/_test/(?:payment|setup)_intents/(\w+)/authenticate", path):
                    server.authenticate(match[1], passed=sent.get("outcome") == "pass")
                elif match := re.fullmatch(r"/_test/setup_intents/(\w+)/confirm", path):
                    server.confirm_setup(match[1], sent.get("payment_method", "pm_card_visa"))
                elif path == "/_test/advance":
                    server.advance(float(sent["seconds"]))
                else:
                    raise invalid("No such control.", status=404)
            except ApiError as error:
                self._send(error.status, json.dumps(error.body).encode())
            else:
                self._send(200, b"{}")

        def _send(self, status: int, body: bytes, *, type: str = "application/json", replayed: bool = False) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Type", type)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Request-Id", shapes.new_id("req"))
                if replayed:
                    self.send_header("Idempotent-Replayed", "true")
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                # Whoever asked did not wait for the answer.
                self.close_connection = True

    return Handler
