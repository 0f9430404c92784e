"""
Documents in words: a snapshot becomes the texts that the template puts in their places, in the buyer's language.

Everything that leaves here is a text that can be printed as it is.
"""

import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

import segno
from babel import Locale, UnknownLocaleError
from babel.numbers import format_decimal

from flint.languages import LANGUAGES, Language, phrase
from flint.money import Money
from flint.pictures import format_of
from invoices.documents.fonts import FAMILIES, writable
from invoices.documents.sources import TAX, Source, sources_of

Words = dict[str, Any]
PAPERS = {"a4": "a4", "letter": "us-letter"}
PRIMARY, ACCENT = "#1f2933", "#d9d9d9"
NOT_PLAIN = {"eu_vat": "VAT", "gb_vat": "VAT", "us_ein": "EIN", "de_stn": "St.-Nr."}

KINDS = {"deposit": phrase("Deposit"), "installment": phrase("Instalment"), "balance": phrase("Balance")}
REASONS = {
    "returned_goods": phrase("Returned goods"),
    "order_adjustment": phrase("Change to the order"),
    "billing_error": phrase("Billing error"),
    "goodwill": phrase("Goodwill"),
    "other": phrase("Other"),
}
TAXES = {"retail_delivery_fee": phrase("Retail delivery fee")}
CHANGES = phrase("Changes to earlier items")
HEAD = (phrase("Description"), phrase("Quantity"), phrase("Price"), phrase("Tax"), phrase("Amount"))
TAXES_HEAD = (phrase("Tax"), phrase("Rate"), phrase("Net"), phrase("Tax amount"))


class Writer:
    """Writes one document's amounts, days and names: in a language, a currency and a time zone."""

    def __init__(self, document: Mapping[str, Any], *, sign: int = 1):
        self.language = Language(_locale(document["language"]))
        self.zone: tzinfo = zoneinfo.ZoneInfo(document["timezone"])
        self.currency, self.sign = document["currency"], sign

    def say(self, text: str, **values: object) -> str:
        """Return a text of ours in the document's language."""
        return self.language.say(text, **values)

    def money(self, amount: int) -> str:
        """Write minor units."""
        return writable(self.language.money(Money(self.sign * amount, self.currency)))

    def day(self, moment: str) -> str:
        """Write the day of a moment."""
        return self.language.date(datetime.fromisoformat(moment), self.zone)

    def number(self, count: int) -> str:
        """Write how many."""
        return format_decimal(count, locale=self.language.locale)

    def rates(self, source: Source) -> str:
        """Write what taxes there are on something."""
        rates = " + ".join(self.language.percent(percent) for percent in source.percents)
        return f"{rates} ({self.say('included')})" if rates and source.inclusive_tax else rates or "–"

    def address(self, address: Mapping[str, Any] | None) -> list[str]:
        """Write an address in lines, the country by its name."""
        if not address:
            return []
        country = Locale.parse(self.language.locale).territories.get(address["country"], address["country"])
        city = [address.get("postal_code", ""), address.get("city", ""), address.get("state", "")]
        if address["country"] in ("US", "CA", "GB", "AU"):
            city = [address.get("city", ""), address.get("state", ""), address.get("postal_code", "")]
        elif address.get("state") == address.get("city"):
            city.pop()
        return [address["line1"], address.get("line2") or "", " ".join(part for part in city if part), country]


def invoice_words(snapshot: Mapping[str, Any], *, link: str, logo: bytes | None) -> Words:
    """Return the document of an invoice. ``link`` is where it can be paid, empty if nowhere."""
    document = snapshot["document"]
    write = Writer(document)
    sources = sources_of(snapshot)
    due = _amount(document, "due_money")
    words = _words(snapshot, write, sources, logo=logo)
    facts = [
        (write.say("Invoice number"), document["number"]),
        (write.say("Issued"), write.day(document["issued_at"])),
        (write.say("Due"), write.day(document["due_at"]) if document["due_at"] else ""),
        (write.say("Payment terms"), document["payment_terms"]),
        (write.say("Date of service"), write.day(snapshot["service_at"]) if snapshot.get("service_at") else ""),
        (write.say("Order"), document["order_number"]),
        (write.say("PO number"), document["po_number"]),
        (write.say("Reference"), snapshot.get("reference", "")),
    ]
    total, paid = _amount(snapshot["pricing_amounts"], "total_money"), _amount(document, "paid_before_money")
    if paid:
        words["sums"].append(_sum(write.say("Paid before"), write.money(-paid)))
    if rest := total - paid - due:
        words["sums"].append(_sum(write.say("Credited before"), write.money(-rest)))
    if due != total:
        words["sums"].append(_sum(write.say("Amount due"), write.money(due), strong=True))
    headline = write.say("{amount} due", amount=write.money(due))
    if document["due_at"]:
        headline = write.say("{amount} due by {date}", amount=write.money(due), date=write.day(document["due_at"]))
    if earlier := document["earlier_invoice_numbers"]:
        words["notes"].append(write.say("This order was billed before by {numbers}.", numbers=", ".join(earlier)))
    return _finished(
        words
        | {
            "title": write.say("Invoice"),
            "number": document["number"],
            "due": headline if due else None,
            "facts": facts,
            "schedule_title": write.say("To be paid in parts"),
            "schedule": [
                (
                    write.say(KINDS[entry["kind"]]),
                    write.day(entry["due_at"]) if entry["due_at"] else write.say("With this invoice"),
                    write.money(_amount(entry, "total_money")),
                )
                for entry in document["schedule"]
            ],
            "pay": _pay(write, link) if link and due else None,
            "remit_title": write.say("Send payment to"),
            "remit": write.address(document["remit_to_address"]),
        }
    )


def credit_note_words(snapshot: Mapping[str, Any], *, logo: bytes | None) -> Words:
    """Return the document of a credit note: its amounts are below zero, each of them."""
    document = snapshot["document"]
    write = Writer(document, sign=-1)
    note = snapshot["credit_note"]
    words = _words(snapshot, write, [Source(**row) for row in note["sources"]], logo=logo)
    words["facts"] = [
        (write.say("Credit note number"), document["number"]),
        (write.say("Issued"), write.day(document["issued_at"])),
        (write.say("For invoice"), note["invoice_number"]),
        (write.say("Invoice of"), write.day(note["invoice_issued_at"])),
        (write.say("Reason"), write.say(REASONS[note["reason"]])),
        (write.say("Order"), document["order_number"]),
        (write.say("PO number"), document["po_number"]),
        (write.say("Reference"), snapshot.get("reference", "")),
    ]
    words |= {"title": write.say("Credit note"), "number": document["number"], "due": None}
    words |= {"schedule_title": "", "schedule": [], "pay": None, "remit_title": "", "remit": []}
    return _finished(words)


def _words(snapshot: Mapping[str, Any], write: Writer, sources: Sequence[Source], *, logo: bytes | None) -> Words:
    """Return what both kinds of documents say in the same way."""
    document = snapshot["document"]
    issuer, branding = document["issuer"], document["branding"]
    seller = [
        issuer["legal_name"] if issuer["legal_name"] != issuer["name"] else "",
        *write.address(issuer["address"]),
        *_tax_ids(snapshot.get("seller_tax_identity")),
        issuer["email"],
        issuer["phone"],
        issuer["website"],
    ]
    return {
        "language": write.language.code,
        "region": write.language.locale[3:5] or None,
        "fonts": list(FAMILIES),
        "paper": PAPERS[document["page_size"]],
        "primary": branding["primary_color"] or PRIMARY,
        "accent": branding["accent_color"] or ACCENT,
        "author": issuer["name"],
        "logo": {"bytes": list(logo), "format": format_of(logo)} if logo else None,
        "seller": seller,
        "buyer_label": write.say("Billed to"),
        "buyer": _buyer(snapshot, write),
        "memo": snapshot.get("memo", "").split("\n"),
        "footer": snapshot.get("footer", "").split("\n"),
        "head": [write.say(text) for text in HEAD],
        "rows": _rows(write, sources),
        "carried": write.say("Carried over"),
        "sums": _sums(write, sources),
        "taxes_title": write.say("Taxes"),
        "taxes_head": [write.say(text) for text in TAXES_HEAD],
        "taxes": _taxes(document["taxes"], write),
        "notes": [write.say("This is a test document. It asks for no real money.")] if issuer["is_test"] else [],
        "foot": " · ".join(part for part in (issuer["legal_name"] or issuer["name"], issuer["website"]) if part),
        "page_of": write.say("Page {page} of {pages}", page="\1", pages="\2"),
        "attachment": None,
    }


def _rows(write: Writer, sources: Sequence[Source]) -> list[dict[str, Any]]:
    rows, carried = [], 0
    for source in sources:
        if source.kind == TAX:
            continue
        carried += source.shown
        details = source.description.split("\n")
        if source.discount:
            details.append(write.say("Discount: {amount}", amount=write.money(-source.discount)))
        name = {"": write.say("Tip"), CHANGES: write.say(CHANGES)}.get(source.name, source.name)
        rows.append(
            {
                "name": name,
                "details": details,
                "quantity": write.number(source.quantity) if source.quantity is not None else "",
                "price": write.money(source.unit_price) if source.unit_price is not None else "",
                "tax": write.rates(source),
                "amount": write.money(source.shown),
                "carried": write.money(carried),
            }
        )
    return rows


def _sums(write: Writer, sources: Sequence[Source]) -> list[dict[str, Any]]:
    subtotal = sum(source.shown for source in sources)
    on_top = sum(source.tax - source.inclusive_tax for source in sources)
    inside = sum(source.inclusive_tax for source in sources)
    sums = []
    if on_top:
        sums = [_sum(write.say("Subtotal"), write.money(subtotal)), _sum(write.say("Tax"), write.money(on_top))]
    sums.append(_sum(write.say("Total"), write.money(subtotal + on_top), strong=True))
    if inside:
        sums.append(_sum(write.say("Tax in it"), write.money(inside)))
    return sums


def _sum(label: str, value: str, *, strong: bool = False) -> dict[str, Any]:
    return {"label": label, "value": value, "strong": strong}


def _taxes(taxes: Sequence[Mapping[str, Any]], write: Writer) -> list[tuple[str, ...]]:
    """Sum the taxes up by whose they are, their rate, and whether they are in the price."""
    found: dict[tuple, list[int]] = {}
    for tax in taxes:
        key = (tax["name"] or tax["tax_type"], tax["percent"], tax["price_mode"], tax["tax_type"])
        sums = found.setdefault(key, [0, 0])
        sums[0] += _amount(tax, "taxable_money")
        sums[1] += _amount(tax, "tax_money")
    rows = []
    for (name, percent, mode, type), (taxable, tax) in found.items():
        label = f"{name} · {write.say(TAXES[type])}" if type in TAXES else name
        if mode == "inclusive":
            label = f"{label} ({write.say('included')})"
        rate = write.language.percent(percent) if percent is not None else ""
        rows.append((label, rate, write.money(taxable) if percent is not None else "", write.money(tax)))
    return rows


def _buyer(snapshot: Mapping[str, Any], write: Writer) -> list[str]:
    identity = snapshot.get("buyer_tax_identity") or {}
    name = snapshot.get("customer_display_name", "")
    legal_name = identity.get("legal_name", "")
    email = snapshot["document"].get("recipient_email") or snapshot.get("customer_email", "")
    return [
        legal_name or name,
        name if legal_name and name != legal_name else "",
        *write.address(identity.get("registered_address") or snapshot.get("billing_address")),
        *_tax_ids(identity),
        email if email != name else "",
    ]


def _tax_ids(identity: Mapping[str, Any] | None) -> list[str]:
    ids = (identity or {}).get("tax_ids", [])
    return [f"{NOT_PLAIN.get(each['type'], each['type'].replace('_', ' ').upper())} {each['value']}" for each in ids]


def _pay(write: Writer, link: str) -> dict[str, str]:
    code = segno.make_qr(link, error="m")
    return {
        "link": link,
        "qr": code.svg_inline(border=0, omitsize=True, svgversion=1.1),
        "title": write.say("Pay online"),
        "text": write.say("Scan the code, or click it, to see what is still owed and to pay it."),
    }


def _finished(words: Words) -> Words:
    """Return words as the template reads them: without empty lines, and of characters that can be written."""
    for name in ("seller", "buyer", "memo", "footer", "notes", "remit"):
        words[name] = [line for line in _lines(words[name]) if line or name in ("memo", "footer")]
        words[name] = words[name] if any(words[name]) else []
    for row in words["rows"]:
        row["details"] = [line for line in _lines(row["details"]) if line]
        row["name"] = writable(row["name"])
    words["facts"] = [[label, writable(value)] for label, value in words["facts"] if value]
    words["taxes"] = [[writable(cell) for cell in row] for row in words["taxes"]]
    words["author"], words["foot"] = writable(words["author"]), writable(words["foot"])
    return {name.replace("_", "-"): value for name, value in words.items()}


def _lines(texts: Sequence[str]) -> list[str]:
    return [writable(text) for text in texts]


def _amount(row: Mapping[str, Any], name: str) -> int:
    return row[name]["amount"]


def _locale(wanted: str) -> str:
    """Return a locale that is spoken here, as near to the one that is wanted as can be."""
    code = wanted[:2].lower()
    if code not in LANGUAGES:
        return "en"
    try:
        return str(Locale.parse(wanted.replace("-", "_")))
    except (UnknownLocaleError, ValueError):
        return code
