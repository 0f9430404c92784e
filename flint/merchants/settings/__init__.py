"""
What a merchant chooses once for all of an environment, in sections. Each section is declared by the room that reads it:

    class InvoiceSettingsInput(SectionInput):
        default_memo = StrictString(max_length=4096, label="Memo", help_text="Printed on every new invoice.")

    declare(Section("invoices", "Invoices", InvoiceSettingsInput, defaults={"page_size": "a4"}))

and read with every member filled, by its default or None:

    section_of(environment_id, "invoices")["default_memo"]
"""

from flint.merchants.settings.reading import Effective, effective_of, section_of
from flint.merchants.settings.sections import Section, SectionInput, declare

__all__ = ["Effective", "Section", "SectionInput", "declare", "effective_of", "section_of"]
