"""
Keeping what an order was: the database itself writes down every change of a row that an order's answer is made of.

A deferred trigger on each such table appends what changed to ``orders.models.RowVersion`` when the transaction commits,
so that no verb, console session or hand-written UPDATE can forget to, and so that what one transaction changed carries
one time, that of its commit. ``orders.as_of`` puts the rows of a moment together again.

Sealed columns are never kept, whatever a table says.
"""

from collections.abc import Collection

import pgtrigger
from django.db import models

from flint.sealing import SealedField

FUNCTION = """
IF TG_OP = 'DELETE' THEN
    kept := OLD;
ELSE
    kept := NEW;
    after := to_jsonb(NEW) - {left_out};
    IF TG_OP = 'UPDATE' THEN
        before := to_jsonb(OLD) - {left_out};
    END IF;
    SELECT jsonb_object_agg(found.key, found.value) INTO changed FROM jsonb_each(after) AS found
        WHERE before IS NULL OR found.value IS DISTINCT FROM before -> found.key;
    IF changed IS NULL THEN
        RETURN NULL;
    END IF;
END IF;
-- The first row of a transaction to come here reads the clock, for all of them.
stamp := NULLIF(current_setting('flint.recorded_at', true), '')::timestamptz;
IF stamp IS NULL THEN
    stamp := clock_timestamp();
    PERFORM set_config('flint.recorded_at', stamp::text, true);
END IF;
INSERT INTO orders_rowversion (environment_id, order_id, model, row_id, changes, recorded_at)
    VALUES (kept.environment_id, {order}, '{model}', kept.id, changed, stamp);
RETURN NULL;
"""


class KeepsVersions(pgtrigger.Trigger):
    """
    Have the database keep what a table's rows were, as far as an order shows them.

    ``order`` is SQL for the id of the row's order, where the row is called ``kept``. With ``only``, no other columns
    are kept; it is the rule for tables that hold more than an order shows.
    """

    when = pgtrigger.After
    operation = pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete
    timing = pgtrigger.Deferred
    declare = [("kept", "record"), ("before", "jsonb"), ("after", "jsonb"), ("changed", "jsonb")]
    declare += [("stamp", "timestamptz")]

    def __init__(self, *, name: str, order: str = "kept.order_id", only: Collection[str] = ()):
        self.order, self.only = order, frozenset(only)
        super().__init__(name=name)

    def get_func(self, model: type[models.Model]) -> str:
        columns = ",".join(self.left_out(model))
        left_out = f"'{{{columns}}}'::text[]"
        return FUNCTION.format(left_out=left_out, order=self.order, model=model._meta.label_lower)

    def left_out(self, model: type[models.Model]) -> list[str]:
        """Return the columns that are not kept."""
        fields = model._meta.concrete_fields
        unknown = self.only - {field.attname for field in fields}
        if unknown:
            raise ValueError(f"{model._meta.label} has no {', '.join(sorted(unknown))}")
        return [
            field.column
            for field in fields
            if isinstance(field, SealedField) or (self.only and field.attname not in self.only)
        ]
