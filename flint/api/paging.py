"""Pages by keyset: every page costs the same, however far in, and nothing is counted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing
from django.db.models import Q, QuerySet

from flint.api.queries import ListQuery
from flint.errors import InvalidInput


class InvalidPageToken(InvalidInput):
    code = "INVALID_PAGE_TOKEN"
    message = "This is not a page token of this list. Take next_page_token as it is, or start again without one."


class CursorMismatch(InvalidInput):
    code = "CURSOR_MISMATCH"
    message = "The other parameters changed since this page token was given. Keep them, or start again without one."


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in order, and the token of the next ones if there are more."""

    items: list[Any]
    next_page_token: str | None = None


def paginate(rows: QuerySet, query: ListQuery) -> Page:
    """
    Return the page of the filtered rows that the query asks for, in one statement.

    :raises InvalidPageToken: if the token is not ours, or of another environment.
    :raises CursorMismatch: if filters or sorting changed since it was given.
    """
    column, descending = query.sort
    rows = query.apply(rows)
    if token := query.values.get("page_token"):
        rows = rows.filter(_after(column, descending, *_open(token, query)))
    sign = "-" if descending else ""
    size = query.values["page_size"]
    items = list(rows.order_by(f"{sign}{column}", f"{sign}id")[: size + 1])
    if len(items) <= size:
        return Page(items)
    items.pop()
    return Page(items, _seal(getattr(items[-1], column), items[-1].pk, query))


def _after(column: str, descending: bool, value: Any, row_id: str) -> Q:
    beyond = "lt" if descending else "gt"
    # The first condition is implied by the second; it is what lets PostgreSQL start in the middle of an index.
    return Q(**{f"{column}__{beyond}e": value}) & (Q(**{f"{column}__{beyond}": value}) | Q(**{f"id__{beyond}": row_id}))


def _signer(query: ListQuery) -> signing.Signer:
    return signing.Signer(salt=f"flint.page:{query.environment_id}")


def _seal(value: Any, row_id: str, query: ListQuery) -> str:
    plain = {"t": value.isoformat()} if isinstance(value, datetime) else {"v": value}
    return _signer(query).sign_object({**plain, "i": row_id, "q": query.fingerprint})


def _open(token: str, query: ListQuery) -> tuple[Any, str]:
    try:
        cursor = _signer(query).unsign_object(token)
    except (signing.BadSignature, ValueError, UnicodeError):
        raise InvalidPageToken(param="page_token") from None
    if cursor["q"] != query.fingerprint:
        raise CursorMismatch(param="page_token")
    return datetime.fromisoformat(cursor["t"]) if "t" in cursor else cursor["v"], cursor["i"]
