"""
Where messages may go. Merchants name the addresses, our servers call them: so nothing behind our own walls is called.

An address is checked when an endpoint is made, as far as its text tells, and again each time: the name is looked up
once, every address that it has must be allowed, and the call goes to one of just these.
"""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from flint.errors import InvalidInput

PORTS = frozenset({443, 8443})
MAX_URL = 2048

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
NOT_OURS_TO_CALL = [
    ipaddress.ip_network(network)
    for network in (
        "2001::/32",  # Teredo, which carries an IPv4 address
        "2002::/16",  # 6to4, which does as well
        "192.0.0.0/24",  # set aside for protocols, which Python takes for public in part; a cloud's metadata among them
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # a cloud's own service to its machines, on an address that looks public
    )
]
LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal", ".home.arpa")


class InvalidUrl(InvalidInput):
    code = "INVALID_URL"
    message = "This is not an address such as https://example.com/webhooks."


class UrlTooLong(InvalidInput):
    code = "URL_TOO_LONG"
    message = f"An address has at most {MAX_URL} characters."


class InvalidUrlScheme(InvalidInput):
    code = "INVALID_URL_SCHEME"
    message = "The address begins with https://."


class InvalidUrlHost(InvalidInput):
    code = "INVALID_URL_HOST"
    message = "The address names a public host, without user and password, on port 443 or 8443."


class BlockedTarget(Exception):
    """The address leads to where no message may go."""


def check_url(url: str) -> None:
    """
    Refuse an address that can be seen to lead nowhere, or to where no message may go.

    :raises InvalidUrl, UrlTooLong, InvalidUrlScheme, InvalidUrlHost: saying why.
    """
    if len(url) > MAX_URL:
        raise UrlTooLong(param="url")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidUrl(param="url") from None
    if any(not "!" <= sign <= "~" for sign in url) or "\\" in url or "#" in url:
        raise InvalidUrl(param="url")
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.WEBHOOK_NETWORKS):
        raise InvalidUrlScheme(param="url")
    if not parts.hostname or "@" in parts.netloc or port == 0 or not _may_be_called(parts):
        raise InvalidUrlHost(param="url")


def _may_be_called(parts: SplitResult) -> bool:
    host = parts.hostname.rstrip(".").lower()
    if (address := _literal(host)) is not None:
        return is_allowed(address, parts.scheme, port_of(parts))
    if settings.WEBHOOK_NETWORKS:
        # A name may be one of those networks; which it is will be seen when it is looked up.
        return True
    is_local = host.endswith(LOCAL_NAMES) or "." not in host
    # A last part of digits is an IPv4 address in one of its odd forms.
    is_odd = host.rpartition(".")[2][:1].isdigit()
    return not is_local and not is_odd and port_of(parts) in PORTS


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def port_of(parts: SplitResult) -> int:
    """Return the port that an address means."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def is_allowed(address: Address, scheme: str, port: int) -> bool:
    """Whether a message may go to an address: a public one by TLS, or one in a network that the install names."""
    if any(address in network for network in settings.WEBHOOK_NETWORKS):
        return True
    return scheme == "https" and port in PORTS and is_public(address)


def is_public(address: Address) -> bool:
    """Whether an address is somebody's on the internet, and not a way to an address that is not."""
    if address.version == 6 and address not in GLOBAL_UNICAST:
        # Among these are loopback, link-local and unique local addresses, and those that stand for IPv4 ones.
        return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return not any(address in network for network in NOT_OURS_TO_CALL)


def look_up(host: str, scheme: str, port: int) -> list[str]:
    """
    Return the addresses that a host has, each of which may be called.

    :raises BlockedTarget: if one of them may not. :raises OSError, UnicodeError: if the name cannot be looked up.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    texts = list(dict.fromkeys(str(address[0]) for *_, address in found))
    for text in texts:
        address = _literal(text.partition("%")[0])
        if address is None or "%" in text or not is_allowed(address, scheme, port):
            raise BlockedTarget(f"{host} leads to an address that is not called")
    if not texts:
        raise OSError(f"{host} has no address")
    return texts
