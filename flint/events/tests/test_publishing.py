"""From what happened to what is told: each fact once, nothing lost, nothing where nobody listens."""

import pytest

from flint.events.models import UntoldEvent
from flint.events.tests.telling import listen, tell
from flint.testing import stories

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_paid_order_is_told_step_by_step(environment, receiver):
    _, secret = listen(environment, receiver)
    with stories.settled():
        order = stories.paid_order(environment)
    tell()

    types = receiver.types()
    print(types)
    assert sorted(types) == ["order.created", "order.paid", "payment_intent.succeeded"]
    for message in receiver.received:
        assert message.verified(secret)["webhook_event_id"] == message.headers["webhook-id"]
    assert not UntoldEvent.objects.exists()
    assert order.id
