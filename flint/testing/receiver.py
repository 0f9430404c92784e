"""A merchant's server, for tests: takes messages over real HTTP, checks them as the docs say, and answers as told."""

import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from typing import Any

from django.test import override_settings
from standardwebhooks import Webhook

LOOPBACK = [ip_network("127.0.0.0/8")]


@dataclass
class Received:
    """One message as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The envelope."""
        return json.loads(self.body)

    @property
    def type(self) -> str:
        """What it tells."""
        return self.event["event_type"]

    def verified(self, secret: str) -> dict[str, Any]:
        """Return the envelope as the official library gives it. :raises WebhookVerificationError: if it is forged."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Scripted:
    """One answer. ``hold`` is awaited before it is given; ``drip`` sends it byte by byte for as long as it is let."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    hold: threading.Event | None = None
    drip: threading.Event | None = None


class Receiver:
    """A server on this machine. What comes is kept; ``answer`` scripts what is said to the next ones."""

    def __init__(self):
        self.received: list[Received] = []
        self.script: deque[Scripted] = deque()
        self.arrived = threading.Semaphore(0)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.server_address[1]

    def url(self, path: str = "/hooks", host: str = "127.0.0.1") -> str:
        """Return an address of the server."""
        return f"http://{host}:{self.port}{path}"

    def answer(self, *answers: Scripted | int) -> None:
        """Say this to the next messages, one by one; 200 to all after them."""
        self.script.extend(each if isinstance(each, Scripted) else Scripted(each) for each in answers)

    def types(self) -> list[str]:
        """Return what was told, in the order in which it came."""
        return [each.type for each in self.received]

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append(Received(self.path, dict(self.headers.items()), body))
                answer = receiver.script.popleft() if receiver.script else Scripted()
                receiver.arrived.release()
                if answer.hold:
                    answer.hold.wait(30)
                self._reply(answer)

            do_GET = do_POST

            def _reply(self, answer: Scripted) -> None:
                if answer.drip:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    while not answer.drip.wait(0.02):
                        self.wfile.write(b".")
                        self.wfile.flush()
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *args) -> None:
                pass

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

        return Handler


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver that this install may call."""
    receiver = Receiver()
    with override_settings(WEBHOOK_NETWORKS=LOOPBACK):
        try:
            yield receiver
        finally:
            receiver.close()
