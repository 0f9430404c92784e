"""The types of reports in words, for ``flint/docs/reports.md``: made from what the code declares."""

from flint.reports.registry import ReportType, types

BEGIN = "<!-- Made by flint.reports.describing. -->"


def describe() -> str:
    """Return a section for each type: what it tells, in which formats, and its columns."""
    return "\n".join(_section(each) for each in types().values())


def _section(each: ReportType) -> str:
    formats = ", ".join(f"`{format}`" for format in each.formats)
    fixed = (
        "The same interval always comes out the same."
        if each.is_fixed
        else "What is behind a row may become known later, so the same interval may come to tell more."
    )
    rows = "\n".join(f"| `{column.name}` | {column.kind} | {column.about} |" for column in each.columns)
    return (
        f"### {each.title}: `{each.name}`\n\n{each.about}\n\n{fixed} Formats: {formats}.\n\n"
        f"| column | kind | what it holds |\n| --- | --- | --- |\n{rows}\n"
    )
