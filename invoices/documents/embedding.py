"""
Metadata of a PDF that typst cannot write: what Factur-X asks for. Added behind the file, as PDF has it for changes, so
that nothing before it moves.
"""

import re

OBJECT = re.compile(rb"(\d+) 0 obj\b")

STATED = """<rdf:Description rdf:about="" xmlns:fx="urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#">\
<fx:DocumentType>INVOICE</fx:DocumentType><fx:DocumentFileName>{file}</fx:DocumentFileName>\
<fx:Version>{version}</fx:Version><fx:ConformanceLevel>{profile}</fx:ConformanceLevel></rdf:Description>"""
SCHEMAS = b"<pdfaExtension:schemas><rdf:Bag>"
SCHEMA = """<rdf:li rdf:parseType="Resource"><pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>\
<pdfaSchema:namespaceURI>urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#</pdfaSchema:namespaceURI>\
<pdfaSchema:prefix>fx</pdfaSchema:prefix><pdfaSchema:property><rdf:Seq>{properties}</rdf:Seq></pdfaSchema:property>\
</rdf:li>"""
PROPERTY = """<rdf:li rdf:parseType="Resource"><pdfaProperty:name>{name}</pdfaProperty:name>\
<pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category>\
<pdfaProperty:description>{description}</pdfaProperty:description></rdf:li>"""
PROPERTIES = {
    "DocumentFileName": "name of the embedded XML invoice file",
    "DocumentType": "INVOICE",
    "Version": "The actual version of the Factur-X XML schema",
    "ConformanceLevel": "The conformance level of the embedded Factur-X data",
}


class UnexpectedPdf(Exception):
    """A PDF that is not built as typst builds them."""


def with_metadata(pdf: bytes, *, file: str, profile: str, version: str) -> bytes:
    """
    Return a PDF whose metadata name the Factur-X file in it.

    :raises UnexpectedPdf: if there are no metadata to add to.
    """
    begin, end = pdf.find(b"<?xpacket begin"), pdf.find(b"endstream", pdf.find(b"<?xpacket end"))
    objects = OBJECT.findall(pdf, 0, begin) if begin > 0 else []
    kept = pdf[begin:end].rstrip() if objects else b""
    if SCHEMAS not in kept or b"</rdf:RDF>" not in kept:
        raise UnexpectedPdf
    properties = "".join(PROPERTY.format(name=name, description=said) for name, said in PROPERTIES.items())
    stated = STATED.format(file=file, profile=profile, version=version)
    metadata = kept.replace(SCHEMAS, SCHEMAS + SCHEMA.format(properties=properties).encode(), 1)
    metadata = metadata.replace(b"</rdf:RDF>", stated.encode() + b"</rdf:RDF>", 1)
    number, pdf = int(objects[-1]), pdf.rstrip() + b"\n"
    start = len(pdf)
    head = f"{number} 0 obj\n<< /Type /Metadata /Subtype /XML /Length {len(metadata)} >>\nstream\n"
    changed = head.encode() + metadata + b"\nendstream\nendobj\n"
    return pdf + changed + _reference(pdf, number, at=start, end=start + len(changed))


def _reference(pdf: bytes, number: int, *, at: int, end: int) -> bytes:
    """Return the table that says where the changed object is, with the trailer of the one before."""
    last = int(re.findall(rb"startxref\s+(\d+)", pdf)[-1])
    trailer = re.search(rb"trailer\s*<<(.*?)>>\s*startxref", pdf[last:], re.DOTALL)
    if trailer is None:
        raise UnexpectedPdf
    kept = re.sub(rb"/Prev\s+\d+", b"", trailer[1]).strip()
    table = f"xref\n0 1\n0000000000 65535 f\r\n{number} 1\n{at:010d} 00000 n\r\n".encode()
    return table + b"trailer\n<<\n" + kept + f"\n/Prev {last}\n>>\nstartxref\n{end}\n%%EOF\n".encode()
