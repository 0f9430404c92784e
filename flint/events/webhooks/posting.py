"""
One HTTP request to somebody else's server: to a checked address, within one deadline for all of it, following nothing.
"""

import re
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

import certifi
import httpcore

from flint.events.models.deliveries import Diagnosis
from flint.events.webhooks.targets import BlockedTarget, look_up, port_of

TIMEOUT_SECONDS = 10.0
MAX_EXCERPT = 500
MAX_READ = 4 * MAX_EXCERPT
KEPT_HEADERS = ("content-type", "content-length", "date", "retry-after", "server")
SECRETS = re.compile(
    r"(?i)\b(?:whsec|flint_(?:test|live)|sk_(?:test|live)|rk_(?:test|live)|bearer|basic)[_ ][\w+/=.-]{6,}"
)
UNPRINTABLE = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd]")


class NotDelivered(Exception):
    """A message that did not arrive, or of which nobody knows. ``diagnosis`` and ``message`` say why."""

    def __init__(self, diagnosis: Diagnosis, message: str):
        self.diagnosis, self.message = diagnosis, message
        super().__init__(message)


@dataclass(frozen=True)
class Answer:
    """What a server answered, as far as it is kept."""

    status: int
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    excerpt: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the server took the message."""
        return 200 <= self.status < 300


def post(url: str, *, body: bytes, headers: dict[str, str]) -> Answer:
    """
    Send a message and return what was answered.

    :raises NotDelivered: if no answer came in time, or none could.
    """
    parts = urlsplit(url)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    network = Network(parts.scheme, port_of(parts), deadline)
    sent = {**headers, "Host": parts.netloc, "Content-Length": str(len(body)), "Connection": "close"}
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_tls(), network_backend=network, http2=False) as pool,
            pool.stream("POST", url, headers=list(sent.items()), content=body) as response,
        ):
            return _answer_of(response)
    except BlockedTarget:
        raise NotDelivered(Diagnosis.BLOCKED_TARGET, "The address leads to where no message may go.") from None
    except NameNotFound:
        raise NotDelivered(Diagnosis.DNS_ERROR, "The name of the host could not be looked up.") from None
    except httpcore.TimeoutException:
        raise NotDelivered(Diagnosis.TIMEOUT, f"No answer within {TIMEOUT_SECONDS:g} seconds.") from None
    except NotSecure:
        raise NotDelivered(Diagnosis.TLS_ERROR, "No secure connection could be made.") from None
    except httpcore.ConnectError:
        raise NotDelivered(Diagnosis.CONNECTION_ERROR, "No connection could be made.") from None
    except (httpcore.NetworkError, httpcore.RemoteProtocolError):
        raise NotDelivered(Diagnosis.CONNECTION_ERROR, "The connection broke off before an answer.") from None
    except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol):
        raise NotDelivered(Diagnosis.REQUEST_ERROR, "The request could not be sent to this address.") from None


def _answer_of(response: httpcore.Response) -> Answer:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    read = b""
    try:
        for chunk in response.iter_stream():
            read += chunk[: MAX_READ - len(read)]
            if len(read) >= MAX_READ:
                break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.RemoteProtocolError):
        # The verdict stood in the first line; the rest is only for people to read.
        pass
    return Answer(
        status=response.status,
        content_type=shown(headers.get("content-type", ""))[:100],
        headers={name: shown(headers[name])[:200] for name in KEPT_HEADERS if name in headers},
        excerpt=shown(read.decode(errors="replace"))[:MAX_EXCERPT],
    )


def shown(text: str) -> str:
    """Return a text of somebody else's as it may be kept: without control characters, and without secrets."""
    return SECRETS.sub("[removed]", UNPRINTABLE.sub("", text))


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class NameNotFound(Exception):
    """A host's name that could not be looked up."""


class NotSecure(Exception):
    """A connection that could not be made a secure one."""


class Network(httpcore.NetworkBackend):
    """Connects to none but checked addresses, and lets nothing take longer than a deadline."""

    def __init__(self, scheme: str, port: int, deadline: float):
        self.scheme, self.port, self.deadline = scheme, port, deadline
        self.sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = look_up(host, self.scheme, self.port)
        except (OSError, UnicodeError):
            raise NameNotFound(host) from None
        *others, last = addresses[:4]
        for address in others:
            try:
                return self._connect(address, port)
            except httpcore.ConnectError:
                continue
        return self._connect(last, port)

    def _connect(self, address: str, port: int) -> httpcore.NetworkStream:
        stream = self.sockets.connect_tcp(address, port, timeout=_left(self.deadline))
        return Stream(stream, self.deadline)


class Stream(httpcore.NetworkStream):
    """A connection on which everything together has one deadline, however slowly the other side drips."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float):
        self.stream, self.deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, timeout=_left(self.deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, timeout=_left(self.deadline))

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            secured = self.stream.start_tls(ssl_context, server_hostname, timeout=_left(self.deadline))
        except httpcore.ConnectError as problem:
            if isinstance(problem.__cause__, ssl.SSLError):
                raise NotSecure from None
            raise
        return Stream(secured, self.deadline)

    def get_extra_info(self, info: str):
        return self.stream.get_extra_info(info)


def _left(deadline: float) -> float:
    """
    Return the seconds until a deadline.

    :raises httpcore.ReadTimeout: if it has passed.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the deadline has passed")
    return left
