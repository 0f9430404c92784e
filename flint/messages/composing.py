"""Putting a message together: what its kind says, in the buyer's language, as HTML and as text."""

import re
from email.utils import formataddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.text import wrap

from flint.colours import VISIBLE, contrast, readable_on
from flint.languages import Language
from flint.merchants.logos import logo_path
from flint.merchants.settings import section_of
from flint.messages.kinds import Letter, kinds
from flint.messages.models import Message

WIDTH = 72
BLUE = "#1f4fd8"
"""The button's colour where the merchant chose none."""


def mail_of(message: Message) -> EmailMultiAlternatives:
    """
    Return a message as it goes to the mail server. It is read from the order as it is now.

    :raises Unneeded: if there is nothing to say any more.
    """
    language = Language(message.language)
    letter = kinds[message.kind].write(message, language)
    merchant = message.environment.merchant
    context = {
        "letter": letter,
        "language": language,
        "merchant": merchant,
        **look_of(message.environment_id),
        "support": merchant.support_email or merchant.email,
        "is_test": not message.environment.is_live,
    }
    mail = EmailMultiAlternatives(
        subject=one_line(letter.subject),
        body=text_of(letter, context),
        from_email=formataddr((one_line(str(merchant)), settings.EMAIL_FROM)),
        to=[message.recipient],
        cc=message.cc,
        reply_to=[letter.reply_to or merchant.support_email or merchant.email],
        headers={
            "Message-ID": f"<{message.id.lower()}@{settings.EMAIL_FROM.rpartition('@')[2]}>",
            # No out-of-office answers, please.
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "Content-Language": language.tag,
        },
    )
    mail.attach_alternative(render_to_string("emails/letter.html", context), "text/html")
    for each in letter.attachments:
        mail.attach(one_line(each.name), each.read(), each.mime_type)
    return mail


def look_of(environment_id: str) -> dict[str, str]:
    """Return the colours of the button, and the whole address of the merchant's logo."""
    branding = section_of(environment_id, "branding")
    primary = branding["primary_color"] or BLUE
    edge = primary if contrast(primary, "#ffffff") >= VISIBLE else readable_on(primary)
    path = logo_path(environment_id, branding)
    logo = f"{settings.BASE_URL}{path}" if path else ""
    return {"primary": primary, "on_primary": readable_on(primary), "edge": edge, "logo": logo}


def one_line(text: str) -> str:
    """Return a text that fits into a mail's head: names that merchants chose may hold anything."""
    return re.sub(r"\s+", " ", "".join(sign if sign.isprintable() else " " for sign in text)).strip()[:200]


def text_of(letter: Letter, context: dict) -> str:
    """Return a letter as plain text, for those who read no HTML."""
    language, merchant = context["language"], context["merchant"]
    parts = [language.say("This is a test. No real money moves.")] if context["is_test"] else []
    parts += [letter.heading, *(wrap(each, WIDTH) for each in letter.text)]
    for rows in (letter.lines, letter.sums, letter.facts):
        if rows:
            parts.append("\n".join(_row_of(row) for row in rows))
    if letter.button:
        parts.append(f"{letter.button}:\n{letter.url}")
    parts += [wrap(each, WIDTH) for each in letter.closing]
    parts.append(f"-- \n{one_line(str(merchant))}\n{context['support']}")
    return "\n\n".join(parts) + "\n"


def _row_of(row) -> str:
    label = one_line(f"{row.label} ({row.detail})" if row.detail else row.label)
    gap = WIDTH - len(label) - len(row.money)
    return f"{label}{' ' * gap}{row.money}" if gap > 0 else f"{label}\n{row.money.rjust(WIDTH)}"
