"""Pages from words: typst with one template, offline, with its own fonts, and with a clock that stands still."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import typst
from django.conf import settings

from invoices.documents.fonts import fonts

TEMPLATE = Path(settings.BASE_DIR) / "templates" / "invoices" / "document.typ"
KEPT_FOR_YEARS = "a-3b"
"""The PDF standard of documents that carry a machine-readable invoice."""


def pdf(words: Mapping[str, Any], *, at: datetime, is_kept_for_years: bool = False) -> bytes:
    """Return the pages as one PDF, which states ``at`` as when it was made. The same words give the same bytes."""
    return _compiled(
        words,
        format="pdf",
        timestamp=int(at.timestamp()),
        pdf_standards=[KEPT_FOR_YEARS] if is_kept_for_years else [],
    )


def pictures(words: Mapping[str, Any], *, dots_per_inch: int = 96) -> list[bytes]:
    """Return the pages as PNGs, for people to look at."""
    made = _compiled(words, format="png", ppi=dots_per_inch)
    return made if isinstance(made, list) else [made]


def _compiled(words: Mapping[str, Any], **options: Any) -> Any:
    try:
        return _compiler(words).compile(**options)
    except typst.TypstError:
        if not words["logo"]:
            raise
        # A logo is looked at from outside when it is chosen. One that is broken inside is not worth the document.
        return _compiler({**words, "logo": None}).compile(**options)


def _compiler(words: Mapping[str, Any]) -> typst.Compiler:
    # The template's own folder is all that could be read, and nothing in there is a secret. It asks for no package.
    return typst.Compiler(
        input=str(TEMPLATE),
        root=str(TEMPLATE.parent),
        font_paths=fonts(),
        sys_inputs={"document": json.dumps(words, ensure_ascii=False, sort_keys=True)},
    )
