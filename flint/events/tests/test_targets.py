"""Where no message goes, whatever name it hides behind: names are looked up once, and what was checked is called."""

import ipaddress
import socket
import ssl
import threading
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.utils import timezone

from flint.events.webhooks.posting import NotDelivered, post, shown
from flint.events.webhooks.targets import BlockedTarget, is_public, look_up
from flint.testing.receiver import LOOPBACK

HEADERS = {"Content-Type": "application/json"}


class Names:
    """The names of the internet, for a test: each question about one takes the next of its answers."""

    def __init__(self, monkeypatch):
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host, port, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if name not in self.answers:
            ipaddress.ip_address(name)  # Nothing in these tests may ask the real internet.
            return self.real(host, port, *args, **kwargs)
        self.asked.append(name)
        left = self.answers[name]
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]


@pytest.fixture
def names(monkeypatch):
    return Names(monkeypatch)


def diagnosis_of(url: str) -> str:
    with pytest.raises(NotDelivered) as refused:
        post(url, body=b"{}", headers=HEADERS)
    return refused.value.diagnosis


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
        "100::1",
    ],
)
def test_addresses_that_are_nobodys_on_the_internet(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001:80b::200e"])
def test_addresses_that_are_somebodys(address):
    assert is_public(ipaddress.ip_address(address))


def test_a_name_that_leads_inside_is_not_called(names):
    names.answers = {"inside.example": [["10.0.0.8"]], "both.example": [["93.184.216.34", "127.0.0.1"]]}

    assert diagnosis_of("https://inside.example/") == "blocked_target"
    assert diagnosis_of("https://both.example/") == "blocked_target"
    assert diagnosis_of("https://[::1]/") == "blocked_target"
    assert diagnosis_of("https://127.0.0.1:8443/") == "blocked_target"


def test_a_public_name_is_called_by_tls_and_on_its_port_only(names):
    names.answers = {"shop.example": [["93.184.216.34"]]}

    for scheme, port in [("http", 443), ("http", 80), ("https", 22), ("https", 6379)]:
        with pytest.raises(BlockedTarget):
            look_up("shop.example", scheme, port)
    assert look_up("shop.example", "https", 443) == ["93.184.216.34"]


def test_a_name_is_looked_up_once_and_what_was_checked_is_called(names, receiver, settings):
    """The second answer, which a call by name would get, leads to where nothing listens."""
    settings.WEBHOOK_NETWORKS = LOOPBACK
    names.answers = {"rebinding.example": [["127.0.0.1"], ["127.0.0.9"]]}

    answer = post(receiver.url(host="rebinding.example"), body=b"{}", headers=HEADERS)
    assert answer.status == 200
    assert names.asked == ["rebinding.example"]
    assert receiver.received[0].headers["Host"] == f"rebinding.example:{receiver.port}"


def test_a_name_that_turns_inward_between_check_and_call_is_not_followed(names, settings):
    settings.WEBHOOK_NETWORKS = [ipaddress.ip_network("127.0.0.9/32")]
    names.answers = {"turning.example": [["127.0.0.9"], ["127.0.0.1"]]}
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    try:
        assert diagnosis_of(f"http://turning.example:{server.getsockname()[1]}/") == "connection_error"
        with pytest.raises(TimeoutError):
            server.accept()
    finally:
        server.close()


def test_a_redirect_inside_is_not_followed(receiver):
    from flint.testing.receiver import Scripted

    receiver.answer(Scripted(307, headers={"Location": receiver.url("/secret")}))

    assert post(receiver.url(), body=b"{}", headers=HEADERS).status == 307
    assert [message.path for message in receiver.received] == ["/hooks"]


def test_a_name_that_nobody_knows(monkeypatch):
    def nobody(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    assert diagnosis_of("https://nobody.example/") == "dns_error"


def test_a_certificate_that_nobody_vouches_for(tmp_path, names, settings):
    settings.WEBHOOK_NETWORKS = LOOPBACK
    names.answers = {"shop.example": [["127.0.0.1"]]}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_own_certificate(tmp_path, "shop.example"))
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listening.accept()
        try:
            context.wrap_socket(connection, server_side=True).close()
        except (ssl.SSLError, OSError):
            connection.close()

    server = threading.Thread(target=serve)
    server.start()
    assert diagnosis_of(f"https://shop.example:{listening.getsockname()[1]}/") == "tls_error"
    server.join()
    listening.close()


def _own_certificate(folder, name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = timezone.now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return str(file)


@pytest.mark.parametrize(
    "text",
    ["whsec_AAECAwQF", "flint_live_0123456789abcdef", "Bearer abcdefgh", "sk_live_abcdef", "Basic dXNlcjpwdw=="],
)
def test_secrets_in_an_answer_are_not_kept(text):
    assert shown(f"a {text} b\x00\x1b") == "a [removed] b"
