"""
Where a buyer may go from the page. Other rooms add their own: a receipt, a new link after an expired one.

    @adds_links
    def receipt(page: Page) -> list[Link]: ...
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payments.checkout.page import Page


@dataclass(frozen=True, slots=True)
class Link:
    """A way on: what it says, in the page's language, where it leads, and whether it is the one to take."""

    label: str
    url: str
    is_main: bool = False


LinkMaker = Callable[["Page"], Sequence[Link]]
_makers: list[LinkMaker] = []


def adds_links(maker: LinkMaker) -> LinkMaker:
    """Register a function that says where a state of the page leads."""
    _makers.append(maker)
    return maker


def links_of(page: "Page") -> list[Link]:
    """Return every way on from a page, the main ones first."""
    return sorted((link for maker in _makers for link in maker(page)), key=lambda link: not link.is_main)


@adds_links
def back_to_the_shop(page: "Page") -> list[Link]:
    """The merchant's own addresses."""
    chosen, say = page.session.settings, page.language.say
    redirects = chosen.get("redirects", {})
    if page.state in ("paid", "debit", "held", "partly") and (url := redirects.get("success_redirect_url")):
        return [Link(say("Continue"), url, is_main=True)]
    if page.state == "expired" and (url := chosen.get("expiration", {}).get("expiration_url")):
        return [Link(say("Start again"), url, is_main=True)]
    if page.state not in ("confirm", "processing") and (url := redirects.get("cancel_redirect_url")):
        return [Link(say("Back to the invoice") if page.session.invoice_id else say("Back to the shop"), url)]
    return []


@adds_links
def ask_the_merchant(page: "Page") -> list[Link]:
    """Where nothing more can be done here, somebody helps."""
    merchant = page.session.environment.merchant
    address = merchant.support_email or merchant.email
    if page.state in ("expired", "ended", "partly", "blocked") and address:
        return [Link(page.language.say("Write to {merchant}", merchant=merchant), f"mailto:{address}")]
    return []
