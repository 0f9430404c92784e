"""What every stored row has: an environment that it never leaves, its times, and a queryset that starts there."""

from typing import Self

import django_fsm as fsm
from django.db import models

from flint.actors import Actor
from flint.errors import NotFound


class EnvironmentQuerySet(models.QuerySet):
    """Rows of one environment. ``of(actor)`` starts every query; ``lock`` is the one door before any change."""

    missing: type[NotFound] = NotFound

    def of(self, actor: Actor) -> Self:
        """Keep to what the actor may see: its own environment, and for a buyer what belongs to its own order."""
        rows = self.filter(environment_id=actor.environment_id)
        if not actor.is_buyer:
            return rows
        column = getattr(self.model, "order_column", "")
        return rows.filter(**{column: actor.order_id}) if column else rows.none()

    def find(self, **lookup):
        """
        Return the one row, unlocked.

        :raises NotFound: if it is absent or of another environment; the model names the code.
        """
        try:
            return self.get(**lookup)
        except self.model.DoesNotExist:
            raise self.model.missing() from None

    def lock(self, **lookup):
        """
        Return the one row, freshly read and locked until the transaction ends.

        :raises NotFound: as :meth:`find`.
        """
        return self.select_for_update(of=("self",)).find(**lookup)


class Record(models.Model):
    """
    A row that belongs to an environment. ``missing`` is the refusal when one is looked for in vain.

    ``order_column`` names the order it belongs to. A buyer sees no row of a table that has none.
    """

    missing: type[NotFound] = NotFound
    order_column = ""

    environment = models.ForeignKey("merchants.Environment", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = EnvironmentQuerySet.as_manager()

    class Meta:
        abstract = True


class StatefulRecord(fsm.FSMModelMixin, Record):
    """A record with protected statuses, moved by transitions only."""

    class Meta:
        abstract = True

    def refresh_from_db(self, using=None, fields=None, from_queryset=None):
        """
        Read the row again, statuses included.

        The mixin switches protection off for the whole class while it refreshes, for every thread at once; here the
        protected values are put aside for this one instance instead.
        """
        protected = [f.attname for f in self._meta.concrete_fields if getattr(f, "protected", False)]
        wanted = set(fields) if fields is not None else None
        aside = {
            name: self.__dict__.pop(name)
            for name in protected
            if name in self.__dict__ and (wanted is None or name in wanted)
        }
        if fields is None:
            deferred = self.get_deferred_fields() - set(aside)
            fields = [f.attname for f in self._meta.concrete_fields if f.attname not in deferred]
        try:
            models.Model.refresh_from_db(self, using, fields, from_queryset)
        except BaseException:
            self.__dict__.update(aside)
            raise


def touch(row: models.Model, *fields: str) -> None:
    """Save the named columns only, and the time of the change."""
    row.save(update_fields=[*fields, "updated_at"])
