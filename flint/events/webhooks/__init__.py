"""
Telling merchants what happened, by signed messages to their endpoints.

A room says in its ``webhooks.py``, which is found by its name, what it tells of the events that it records::

    from flint.events.webhooks import Fact, tells

    @tells("invoice.voided", on="invoice.voided", resource="invoice", scope="commerce.invoices.read", sample={…})
    def voided(fact: Fact) -> dict | None:
        invoice = fact.once("invoice", fact.event.subject_id, read_invoice)
        return {"invoice_id": invoice.id, "version": invoice.version, …}

``on`` names one or several internal types; one internal type may be told as several public ones. What is returned goes
over the wire as ``data``, money and times as they are; None tells nothing. The function runs after the commit and may
read, but must not write: a failed one is tried again. Its snapshot says with ``version`` or ``resource_updated_at`` how
new it is. ``sample`` is what a test event of the type holds. See :func:`~flint.events.webhooks.registry.tells`.
"""

from flint.events.webhooks.registry import Fact, tells

__all__ = ["Fact", "tells"]
