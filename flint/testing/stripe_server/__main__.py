"""Run the server alone: ``python -m flint.testing.stripe_server [port] [notice url] [webhook secret]``."""

import sys
from threading import Event

from flint.testing.stripe_server.server import StripeServer


def main(port: str = "12111", url: str = "", secret: str = "whsec_test") -> None:
    """Serve until interrupted, and tell what a client needs to know."""
    stop = Event()
    with StripeServer(int(port)) as server:
        if url:
            server.add_endpoint(url, secret)
        print(f"--api-base {server.url} --secret-key {server.secret_key} --publishable-key {server.publishable_key}")
        while not stop.wait(0.5):
            server.deliver()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit()
