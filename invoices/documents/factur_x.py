"""
Factur-X (ZUGFeRD): the same invoice for programs, as XML inside the PDF, in the profile EN 16931.

Only where its rules can be kept: they know two decimals at most, and one rate for each thing that is billed. Tax was
rounded line by line, which the rules allow for. A document that it cannot say goes out without it.
"""

import zoneinfo
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as Xml

from flint.money import exponent
from invoices.documents.embedding import with_metadata
from invoices.documents.sources import GOODS, Source, sources_of

FILE = "factur-x.xml"
PROFILE = "urn:cen.eu:en16931:2017"
NAMESPACES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
}
INVOICE, CREDIT_NOTE = "380", "381"
PIECE, ONE = "C62", "1"
VAT_IDS = ("eu_vat", "gb_vat")
STANDARD, ZERO, OUTSIDE = "S", "Z", "O"
TOLERANCE = 100
"""By how many minor units a tax may differ from its rate times its base; the rules' own allowance for rounding."""


@dataclass(frozen=True, slots=True)
class Category:
    """How something is taxed: the code of the rules, and the rate in steps of 0.0001 %."""

    code: str
    percent: int


def of_invoice(snapshot: Mapping[str, Any]) -> bytes | None:
    """Return the XML of an invoice, None where the merchant wants none or its rules cannot be kept."""
    if not snapshot["document"]["factur_x"]:
        return None
    return _written(snapshot, sources_of(snapshot), type=INVOICE)


def of_credit_note(snapshot: Mapping[str, Any]) -> bytes | None:
    """Return the XML of a credit note, as :func:`of_invoice`. Its amounts are above zero; its type turns them."""
    if not snapshot["document"]["factur_x"]:
        return None
    return _written(snapshot, [Source(**row) for row in snapshot["credit_note"]["sources"]], type=CREDIT_NOTE)


def attachment(data: bytes) -> dict[str, str]:
    """Return what the template is to put into the PDF."""
    return {
        "name": FILE,
        "content": data.decode(),
        "relationship": "alternative",
        "description": "Factur-X invoice",
    }


def declared(pdf: bytes) -> bytes:
    """Have a PDF say in its metadata that the XML is in it, and in which profile."""
    return with_metadata(pdf, file=FILE, profile="EN 16931", version="1.0")


def _written(snapshot: Mapping[str, Any], sources: Sequence[Source], *, type: str) -> bytes | None:
    document = snapshot["document"]
    if exponent(document["currency"]) > 2 or any(source.total < 0 for source in sources):
        return None
    paper = _Paper(snapshot, sources, type)
    return paper.xml() if paper.keeps_the_rules() else None


class _Paper:
    """One document on its way to XML."""

    def __init__(self, snapshot: Mapping[str, Any], sources: Sequence[Source], type: str):
        self.snapshot, self.document, self.type = snapshot, snapshot["document"], type
        self.currency = self.document["currency"]
        self.zone = zoneinfo.ZoneInfo(self.document["timezone"])
        self.has_vat_id = any(
            each["type"] in VAT_IDS for each in (snapshot.get("seller_tax_identity") or {}).get("tax_ids", [])
        )
        self.is_taxed = any(source.tax and source.percents for source in sources)
        self.goods = [source for source in sources if source.kind == GOODS]
        # A tax of a fixed amount is no rate of anything: for these rules it is a fee.
        self.fees = [source for source in sources if source.kind != GOODS]
        self.sums: dict[Category, list[int]] = defaultdict(lambda: [0, 0])
        for source in sources:
            sums = self.sums[self.category(source)]
            sums[0] += self.net(source)
            sums[1] += self.tax(source)

    def category(self, source: Source) -> Category:
        """Return how something is taxed."""
        if source.percents and source.tax:
            return Category(STANDARD, sum(source.percents))
        return Category(ZERO if self.is_taxed or self.has_vat_id else OUTSIDE, 0)

    def net(self, source: Source) -> int:
        """Return what something comes to without tax."""
        return source.total - self.tax(source)

    def tax(self, source: Source) -> int:
        """Return the tax that goes by a rate."""
        return source.tax if source.percents else 0

    def keeps_the_rules(self) -> bool:
        """Whether there is something billed as a line, and every tax is its rate of its base but for rounding."""
        return bool(self.goods) and all(
            abs(tax * 1_000_000 - net * category.percent) <= TOLERANCE * 1_000_000
            for category, (net, tax) in self.sums.items()
        )

    # What it comes to

    @property
    def line_total(self) -> int:
        return sum(self.net(source) for source in self.goods)

    @property
    def fee_total(self) -> int:
        return sum(self.net(source) for source in self.fees)

    @property
    def tax_total(self) -> int:
        return sum(tax for _, tax in self.sums.values())

    # Writing

    def xml(self) -> bytes:
        """Write it all down."""
        root = Xml.Element("rsm:CrossIndustryInvoice", {f"xmlns:{name}": uri for name, uri in NAMESPACES.items()})
        context = _in(root, "rsm:ExchangedDocumentContext")
        _text(_in(context, "ram:GuidelineSpecifiedDocumentContextParameter"), "ram:ID", PROFILE)
        head = _in(root, "rsm:ExchangedDocument")
        _text(head, "ram:ID", self.document["number"])
        _text(head, "ram:TypeCode", self.type)
        self.day(_in(head, "ram:IssueDateTime"), self.document["issued_at"])
        for note in (self.snapshot.get("memo"), self.snapshot.get("footer")):
            if note:
                _text(_in(head, "ram:IncludedNote"), "ram:Content", note)
        trade = _in(root, "rsm:SupplyChainTradeTransaction")
        for number, source in enumerate(self.goods, start=1):
            self.line(_in(trade, "ram:IncludedSupplyChainTradeLineItem"), number, source)
        self.agreement(_in(trade, "ram:ApplicableHeaderTradeAgreement"))
        self.delivery(_in(trade, "ram:ApplicableHeaderTradeDelivery"))
        self.settlement(_in(trade, "ram:ApplicableHeaderTradeSettlement"))
        Xml.indent(root)
        return Xml.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"

    def line(self, line: Xml.Element, number: int, source: Source) -> None:
        """A line: so many pieces, whose price is given for all of them together, so that nothing is rounded."""
        quantity = str(source.quantity or 1)
        before = self.net(source) + source.discount
        _text(_in(line, "ram:AssociatedDocumentLineDocument"), "ram:LineID", str(number))
        product = _in(line, "ram:SpecifiedTradeProduct")
        _text(product, "ram:Name", source.name)
        if source.description:
            _text(product, "ram:Description", source.description)
        price = _in(_in(line, "ram:SpecifiedLineTradeAgreement"), "ram:NetPriceProductTradePrice")
        _text(price, "ram:ChargeAmount", self.decimal(before))
        _text(price, "ram:BasisQuantity", quantity, unitCode=PIECE)
        _text(_in(line, "ram:SpecifiedLineTradeDelivery"), "ram:BilledQuantity", quantity, unitCode=PIECE)
        settled = _in(line, "ram:SpecifiedLineTradeSettlement")
        self.rate(_in(settled, "ram:ApplicableTradeTax"), self.category(source))
        if source.discount:
            self.allowance(_in(settled, "ram:SpecifiedTradeAllowanceCharge"), source.discount, "Discount", charge=False)
        total = _in(settled, "ram:SpecifiedTradeSettlementLineMonetarySummation")
        _text(total, "ram:LineTotalAmount", self.decimal(self.net(source)))

    def agreement(self, agreement: Xml.Element) -> None:
        """Who sells to whom."""
        if self.snapshot.get("reference"):
            _text(agreement, "ram:BuyerReference", self.snapshot["reference"])
        issuer = self.document["issuer"]
        identity = self.snapshot.get("seller_tax_identity") or {}
        name = issuer["legal_name"] or issuer["name"]
        self.party(_in(agreement, "ram:SellerTradeParty"), name, issuer["address"], issuer["email"], identity)
        identity = self.snapshot.get("buyer_tax_identity") or {}
        email = self.document.get("recipient_email") or self.snapshot.get("customer_email", "")
        name = identity.get("legal_name") or self.snapshot.get("customer_display_name") or email
        address = identity.get("registered_address") or self.snapshot.get("billing_address")
        self.party(_in(agreement, "ram:BuyerTradeParty"), name, address, email, identity)
        if self.document["po_number"]:
            order = _in(agreement, "ram:BuyerOrderReferencedDocument")
            _text(order, "ram:IssuerAssignedID", self.document["po_number"])

    def party(
        self,
        party: Xml.Element,
        name: str,
        address: Mapping[str, Any] | None,
        email: str,
        identity: Mapping[str, Any],
    ) -> None:
        """Somebody, with what is known of them."""
        _text(party, "ram:Name", name or "–")
        if address:
            at = _in(party, "ram:PostalTradeAddress")
            _text(at, "ram:PostcodeCode", address["postal_code"])
            _text(at, "ram:LineOne", address["line1"])
            if address.get("line2"):
                _text(at, "ram:LineTwo", address["line2"])
            _text(at, "ram:CityName", address["city"])
            _text(at, "ram:CountryID", address["country"])
        if email:
            _text(_in(party, "ram:URIUniversalCommunication"), "ram:URIID", email, schemeID="EM")
        for scheme, number in _tax_numbers(identity):
            _text(_in(party, "ram:SpecifiedTaxRegistration"), "ram:ID", number, schemeID=scheme)

    def delivery(self, delivery: Xml.Element) -> None:
        """When it was done, if that was said."""
        if at := self.snapshot.get("service_at"):
            event = _in(delivery, "ram:ActualDeliverySupplyChainEvent")
            self.day(_in(event, "ram:OccurrenceDateTime"), at)

    def settlement(self, settlement: Xml.Element) -> None:
        """What it comes to."""
        _text(settlement, "ram:InvoiceCurrencyCode", self.currency)
        for category, (net, tax) in self.sums.items():
            row = _in(settlement, "ram:ApplicableTradeTax")
            _text(row, "ram:CalculatedAmount", self.decimal(tax))
            _text(row, "ram:TypeCode", "VAT")
            if category.code == OUTSIDE:
                _text(row, "ram:ExemptionReason", "Not subject to VAT")
            _text(row, "ram:BasisAmount", self.decimal(net))
            _text(row, "ram:CategoryCode", category.code)
            if category.code != OUTSIDE:
                _text(row, "ram:RateApplicablePercent", _percent(category.percent))
        for source in self.fees:
            fee = _in(settlement, "ram:SpecifiedTradeAllowanceCharge")
            self.allowance(fee, self.net(source), source.name or source.kind.capitalize(), charge=True)
            self.rate(_in(fee, "ram:CategoryTradeTax"), self.category(source))
        due_at, terms = self.document.get("due_at"), self.document.get("payment_terms")
        if due_at or terms:
            row = _in(settlement, "ram:SpecifiedTradePaymentTerms")
            if terms:
                _text(row, "ram:Description", terms)
            if due_at:
                self.day(_in(row, "ram:DueDateDateTime"), due_at)
        self.summation(_in(settlement, "ram:SpecifiedTradeSettlementHeaderMonetarySummation"))
        if self.type == CREDIT_NOTE:
            note = self.snapshot["credit_note"]
            before = _in(settlement, "ram:InvoiceReferencedDocument")
            _text(before, "ram:IssuerAssignedID", note["invoice_number"])

    def summation(self, summation: Xml.Element) -> None:
        """The sums of the whole document."""
        basis = self.line_total + self.fee_total
        total = basis + self.tax_total
        due = self.document["due_money"]["amount"] if "due_money" in self.document else total
        _text(summation, "ram:LineTotalAmount", self.decimal(self.line_total))
        if self.fees:
            _text(summation, "ram:ChargeTotalAmount", self.decimal(self.fee_total))
        _text(summation, "ram:TaxBasisTotalAmount", self.decimal(basis))
        _text(summation, "ram:TaxTotalAmount", self.decimal(self.tax_total), currencyID=self.currency)
        _text(summation, "ram:GrandTotalAmount", self.decimal(total))
        if total != due:
            _text(summation, "ram:TotalPrepaidAmount", self.decimal(total - due))
        _text(summation, "ram:DuePayableAmount", self.decimal(due))

    def allowance(self, row: Xml.Element, amount: int, reason: str, *, charge: bool) -> None:
        """Something taken off, or put on top."""
        _text(_in(row, "ram:ChargeIndicator"), "udt:Indicator", "true" if charge else "false")
        _text(row, "ram:ActualAmount", self.decimal(amount))
        _text(row, "ram:Reason", reason)

    def rate(self, row: Xml.Element, category: Category) -> None:
        """How something is taxed."""
        _text(row, "ram:TypeCode", "VAT")
        _text(row, "ram:CategoryCode", category.code)
        if category.code != OUTSIDE:
            _text(row, "ram:RateApplicablePercent", _percent(category.percent))

    def day(self, parent: Xml.Element, moment: str) -> None:
        """A day where the merchant is."""
        local = datetime.fromisoformat(moment).astimezone(self.zone)
        _text(parent, "udt:DateTimeString", f"{local:%Y%m%d}", format="102")

    def decimal(self, amount: int) -> str:
        """Minor units as the rules write amounts."""
        digits = exponent(self.currency)
        sign, whole = ("-" if amount < 0 else ""), str(abs(amount)).rjust(digits + 1, "0")
        return f"{sign}{whole[:-digits]}.{whole[-digits:]}" if digits else f"{sign}{whole}"


def _tax_numbers(identity: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The one VAT number and the one other number that the rules have places for."""
    seen = set()
    for each in identity.get("tax_ids", []):
        scheme = "VA" if each["type"] in VAT_IDS else "FC"
        if scheme not in seen:
            seen.add(scheme)
            yield scheme, each["value"]


def _percent(steps: int) -> str:
    whole, rest = divmod(steps, 10_000)
    return f"{whole}.{f'{rest:04d}'.rstrip('0').ljust(2, '0')}"


def _in(parent: Xml.Element, name: str) -> Xml.Element:
    return Xml.SubElement(parent, name)


def _text(parent: Xml.Element, name: str, text: str, **attributes: str) -> None:
    # What XML cannot hold is no text that anybody typed on purpose.
    kept = "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
    Xml.SubElement(parent, name, attributes).text = kept
