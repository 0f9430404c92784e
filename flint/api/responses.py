"""Success in the contract's envelope."""

from typing import Any

import orjson
from django.http import HttpResponse

from flint.api import wire
from flint.api.spectacular_settings import API_VERSION


class Reply(HttpResponse):
    """
    One answer: ``data``, ``request_id``, ``meta`` and, for lists with more to come, ``next_page_token``.

    :param data: JSON already, so that it can be kept and sent again exactly as it was.
    :param meta: further members of ``meta``, such as ``warnings``.
    """

    is_envelope = True

    def __init__(
        self,
        data: bytes,
        *,
        request_id: str,
        status: int = 200,
        meta: dict[str, Any] | None = None,
        next_page_token: str | None = None,
        replayed: bool = False,
    ):
        self.payload, self.meta, self.is_replayed = data, meta or {}, replayed
        shown_meta = {"api_version": API_VERSION, "request_id": request_id, **self.meta}
        if replayed:
            shown_meta["idempotency_replayed"] = True
        envelope: dict[str, Any] = {"data": orjson.Fragment(data)}
        if next_page_token:
            envelope["next_page_token"] = next_page_token
        envelope |= {"request_id": request_id, "meta": shown_meta}
        super().__init__(wire.dumps(envelope), status=status, content_type="application/json")
        if replayed:
            self["Idempotency-Replayed"] = "true"
