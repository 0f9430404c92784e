"""Staff in front of the admin: a browser that is signed in, as whom."""

from django.test import Client

from flint.merchants import services
from flint.merchants.models import Merchant, Role
from flint.merchants.tests.factories import UserFactory


def signed_in(merchant: Merchant | None, role: str = Role.SUPPORT, **user) -> Client:
    """Return a browser of somebody of a merchant's staff; of somebody who is on no staff, for None."""
    who = UserFactory(**user)
    if merchant is not None:
        services.add_staff(merchant=merchant, user=who, role=role)
    browser = Client()
    browser.force_login(who)
    browser.user = who
    return browser


def page(response) -> str:
    """Return the text of a page that was served."""
    assert response.status_code == 200, response.status_code
    return response.content.decode()
