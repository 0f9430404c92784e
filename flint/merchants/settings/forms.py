"""A section as a form: each member as what it is typed into, read back as what a request would say, told in words."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.html import format_html
from rest_framework import serializers

from flint.admin import words
from flint.api import fields as api
from flint.api import wire
from flint.api.serializers import Input
from flint.colours import readable_on
from flint.merchants.settings.sections import Section
from flint.pictures import MOST_BYTES, mime_type_of, read_picture

LINE = 255
"""Up to how many characters a text is typed into a single line."""
EMPTY_ROWS = 2
"""How many rows a list offers beyond those that it has."""
NOTHING = "–"

Choices = Sequence[tuple[str, str]]


@dataclass(slots=True)
class Widget:
    """What one member is typed into. ``kind`` names the part of the template; ``errors`` are about it as a whole."""

    name: str
    label: str
    help: str = ""
    kind: str = "text"
    input_type: str = "text"
    value: Any = ""
    shown: str = ""
    choices: Choices = ()
    max_length: int = 255
    parts: Sequence["Widget"] = ()
    rows: Sequence[Sequence["Widget"]] = ()
    errors: list[str] = field(default_factory=list)

    @property
    def html_id(self) -> str:
        """An id for the page: a dot means something else there."""
        return "f-" + self.name.replace(".", "-")


def form_of(section: Section, values: Mapping[str, Any], environment_id: str) -> list[Widget]:
    """Return a section's widgets, filled with values as they are kept."""
    offered = {name: choices(environment_id) for name, choices in section.choices.items()}
    members = section.takes().fields
    widgets = [_widget(name, member, values.get(name), offered.get(name)) for name, member in members.items()]
    for widget in widgets:
        if widget.kind == "select" and section.defaults.get(widget.name) is None:
            widget.choices = [("", NOTHING), *widget.choices]
    return widgets


def typed_form(section: Section, post: QueryDict, kept: Mapping[str, Any], environment_id: str) -> list[Widget]:
    """Return a section's widgets, filled with what was typed, however wrong; a picture is the one kept."""
    widgets = form_of(section, kept, environment_id)
    for widget in widgets:
        _retype(widget, post)
    return widgets


def with_pictures(
    section: Section, post: QueryDict, files: Mapping[str, UploadedFile], kept: Mapping[str, Any]
) -> QueryDict:
    """Return what was typed with each picture in base64: one sent just now, or the one that is kept and stays."""
    typed = post.copy()
    for name, member in section.takes().fields.items():
        if isinstance(member, api.PictureField):
            typed[name] = "" if f"{name}.remove" in post else kept.get(name) or ""
            if name in files:
                typed[name] = base64.b64encode(files[name].read(MOST_BYTES + 1)).decode()
    return typed


def body_of(section: Section, post: QueryDict) -> dict[str, Any]:
    """Return what was typed as a request says it: what is empty, or the default anyway, is null."""
    found = {name: _read(name, member, post) for name, member in section.takes().fields.items()}
    return {name: None if value == section.defaults.get(name) else value for name, value in found.items()}


def told(member: serializers.Field, value: Any, choices: Choices = ()) -> Any:
    """Return a value that is kept in words for people."""
    if value in (None, "", [], {}):
        return NOTHING
    match member:
        case api.StrictBoolean():
            return "Yes" if value else "No"
        case api.ColorField():
            style = f"background: {value}; color: {readable_on(value)}"
            return format_html('<span class="fl-swatch" style="{}">{}</span>', style, value)
        case api.PictureField():
            source = f"data:{mime_type_of(read_picture(value))};base64,{value}"
            return format_html('<img class="fl-logo" src="{}" alt="{}">', source, member.label)
        case api.PercentField():
            return f"{wire.percent_text(value)} %"
        case api.EnumField():
            return words(value)
        case api.ListOf():
            return ", ".join(str(told(member.child, each)) for each in value) or NOTHING
        case Input():
            inner = [part for part in member.fields.values() if value.get(part.field_name) is not None]
            return ", ".join(_part_told(part, value[part.field_name], member) for part in inner) or NOTHING
    return dict(choices).get(value, str(value))


def _part_told(part: serializers.Field, value: Any, whole: Input) -> str:
    """Return a part of an object in words; what does not speak for itself, such as a number, with its name."""
    speaks = isinstance(part, api.StrictString) or len(whole.fields) == 1
    return str(told(part, value)) if speaks else f"{part.label}: {told(part, value)}"


def put_errors(widgets: Sequence[Widget], problems: Sequence[tuple[str, str]]) -> list[str]:
    """Put each problem, by its path within the section, beside what it is about; return those about nothing here."""
    known = {each.name: each for widget in widgets for each in _all(widget)}
    rest = []
    for path, message in problems:
        name = re.sub(r"\[(\d+)\]", r".\1", path)
        while name and name not in known:
            name = name.rpartition(".")[0]
        if name:
            known[name].errors.append(message)
        else:
            rest.append(message)
    return rest


def _all(widget: Widget) -> list[Widget]:
    inner = [*widget.parts, *(part for row in widget.rows for part in row)]
    return [widget, *(found for part in inner for found in _all(part))]


def _single(member: serializers.Field) -> serializers.Field | None:
    """Return the only thing that an object holds, if it is one that holds only one: that is shown in its place."""
    if isinstance(member, Input) and len(member.fields) == 1:
        return next(iter(member.fields.values()))
    return None


def _number(member: serializers.Field) -> serializers.Field | None:
    """Return what a list of numbers is made of: plain ones, or objects that hold just one."""
    if not isinstance(member, api.ListOf):
        return None
    child = _single(member.child) or member.child
    return child if isinstance(child, api.StrictInteger | api.PercentField) else None


def _widget(name: str, member: serializers.Field, value: Any, choices: Choices | None = None) -> Widget:
    label = str(member.label or words(name.rpartition(".")[2]))
    made = Widget(name, label, str(member.help_text or ""), value="" if value is None else value, choices=choices or ())
    made.max_length = getattr(member, "max_length", 255)
    if (number := _number(member)) is not None:
        key = next(iter(member.child.fields)) if isinstance(member.child, Input) else None
        plain = [each[key] if key else each for each in value or []]
        text = wire.percent_text if isinstance(number, api.PercentField) else str
        made.value, made.input_type = ", ".join(text(each) for each in plain), "text"
        return made
    match member:
        case api.StrictBoolean():
            made.kind, made.value = "check", bool(value)
        case api.EnumField():
            made.kind, made.choices = "select", [(each, words(each)) for each in member.choices]
        case api.ListOf(child=api.EnumField() as child):
            made.kind, made.value = "checks", list(value or [])
            made.choices = [(each, words(each)) for each in child.choices]
        case api.ListOf(child=Input() as child):
            filled = [*(value or []), *({} for _ in range(EMPTY_ROWS))][: member.max_length]
            made.kind = "rows"
            made.rows = [_parts(f"{name}.{index}", child, row) for index, row in enumerate(filled)]
        case Input():
            made.kind, made.parts = "group", _parts(name, member, value or {})
            if _single(member) is not None:
                made.parts[0].label = made.label
                made.kind = "single"
        case api.StrictInteger():
            made.input_type = "number"
        case api.PictureField():
            made.kind, made.shown = "picture", told(member, value) if value else ""
        case api.ColorField():
            made.kind = "color"
        case api.TimezoneField():
            made.kind = "zone"
        case api.EmailField():
            made.input_type = "email"
        case api.UrlField():
            made.input_type = "url"
        case _ if choices is not None:
            made.kind = "select"
        case api.StrictString() if member.max_length > LINE:
            made.kind = "area"
    return made


def _parts(name: str, member: Input, values: Mapping[str, Any]) -> list[Widget]:
    return [_widget(f"{name}.{each}", part, values.get(each)) for each, part in member.fields.items()]


def _retype(widget: Widget, post: QueryDict) -> None:
    """Fill a widget with what was typed into it."""
    if widget.kind == "picture":
        return
    if widget.kind == "check":
        widget.value = widget.name in post
    elif widget.kind == "checks":
        widget.value = post.getlist(widget.name)
    elif widget.kind == "rows":
        names = [part.name.rpartition(".")[2] for part in widget.rows[0]] if widget.rows else []
        first = widget.rows[0] if widget.rows else []
        widget.rows = [
            [
                Widget(f"{widget.name}.{index}.{name}", part.label, part.help, max_length=part.max_length)
                for name, part in zip(names, first, strict=True)
            ]
            for index in range(_row_count(widget.name, post) + EMPTY_ROWS)
        ]
        for row in widget.rows:
            for part in row:
                _retype(part, post)
    elif widget.parts:
        for part in widget.parts:
            _retype(part, post)
    else:
        widget.value = post.get(widget.name, "")


def _row_count(name: str, post: QueryDict) -> int:
    """Return how many rows of a list were sent with something in them; at most a hundred are looked at."""
    found = (re.fullmatch(rf"{re.escape(name)}\.(\d{{1,2}})\.\w+", each) for each in post if post[each].strip())
    return max((int(each[1]) + 1 for each in found if each), default=0)


def _read(name: str, member: serializers.Field, post: QueryDict) -> Any:
    if _number(member) is not None:
        numbers = [_as_number(each) for each in re.split(r"[,;\s]+", post.get(name, "").strip()) if each]
        key = next(iter(member.child.fields)) if isinstance(member.child, Input) else None
        return [{key: each} if key else each for each in numbers] or None
    match member:
        case api.StrictBoolean():
            return name in post
        case api.ListOf(child=Input() as child):
            rows = [_read_object(f"{name}.{index}", child, post) for index in range(_row_count(name, post))]
            return [row for row in rows if row] or None
        case api.ListOf():
            return post.getlist(name) or None
        case Input():
            return _read_object(name, member, post) or None
        case api.StrictInteger():
            text = post.get(name, "").strip()
            return _as_number(text) if text else None
    text = post.get(name, "").replace("\r\n", "\n").strip()
    return text or None


def _read_object(name: str, member: Input, post: QueryDict) -> dict[str, Any]:
    found = {each: _read(f"{name}.{each}", part, post) for each, part in member.fields.items()}
    return {each: value for each, value in found.items() if value is not None}


def _as_number(text: str) -> Any:
    """Return a number as JSON has it, or the text if it is none, for the member to refuse."""
    if re.fullmatch(r"[+-]?\d{1,12}", text, re.ASCII):
        return int(text)
    return Decimal(text) if re.fullmatch(r"\d{1,6}\.\d{1,6}", text, re.ASCII) else text
