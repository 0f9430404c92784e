"""The OpenAPI document, arranged for reading: operations by tag, objects by name, an example call for each."""

import json
import re
from collections.abc import Iterator
from typing import Any

COMPONENT = "#/components/schemas/"
EXAMPLES = {"email": "ada@example.com", "date-time": "2026-09-07T12:00:00Z", "date": "2026-09-07"}


def prose(text: str) -> list[list[dict[str, Any]]]:
    """Return a description as paragraphs of pieces, telling those in backticks from the rest."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return [
        [{"text": piece, "is_code": index % 2 == 1} for index, piece in enumerate(re.split("`+", paragraph))]
        for paragraph in paragraphs
        if paragraph
    ]


class Handbook:
    """Reads one OpenAPI document. Everything it returns is plain data for a template."""

    def __init__(self, document: dict[str, Any], base_url: str):
        self.document, self.base_url = document, base_url
        self.schemas: dict[str, Any] = document["components"]["schemas"]

    def chapters(self) -> list[dict[str, Any]]:
        """Return the operations under their tags, both in alphabetical order."""
        chapters: dict[str, list] = {}
        for path, verbs in self.document["paths"].items():
            for verb, operation in verbs.items():
                chapters.setdefault(operation["tags"][0], []).append(self.operation(path, verb.upper(), operation))
        return [{"tag": tag, "operations": operations} for tag, operations in sorted(chapters.items())]

    def operation(self, path: str, verb: str, operation: dict[str, Any]) -> dict[str, Any]:
        """Return one operation."""
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        success = next(status for status in operation["responses"] if status < "400")
        found = operation["responses"][success]
        answer = found.get("content", {}).get("application/json", {}).get("schema")
        return {
            "id": operation["operationId"],
            "verb": verb,
            "path": path,
            "summary": operation["summary"],
            "description": prose(operation.get("description", "")),
            "is_public": not operation.get("security"),
            "scopes": operation["x-flint-scopes"],
            "scope_mode": operation["x-flint-scope-mode"],
            "codes": operation["x-flint-error-codes"],
            "parameters": [self.parameter(p) for p in operation.get("parameters", []) if "$ref" not in p],
            "body": body and self.words_for(body),
            "answer": answer and self.words_for(answer.get("properties", {}).get("data", answer)),
            "leads_to": found["headers"].get("Location", {}).get("description", ""),
            "file_type": "" if answer else next(iter(found.get("content", {})), ""),
            "success": success,
            "failures": [status for status in operation["responses"] if status >= "400"],
            "curl": self.curl(path, verb, operation, body),
        }

    def parameter(self, parameter: dict[str, Any]) -> dict[str, Any]:
        """Return one parameter of the path or the query. The headers are the same everywhere."""
        return {
            "name": parameter["name"],
            "place": parameter["in"],
            "is_required": parameter.get("required", False),
            "type": self.words_for(parameter["schema"]),
            "description": prose(parameter.get("description", "")),
        }

    def objects(self) -> list[dict[str, Any]]:
        """Return the named objects with their members."""
        return [
            {
                "name": name,
                "description": prose(schema.get("description", "")),
                "forms": [self.members(form) for form in schema.get("oneOf", [schema])],
            }
            for name, schema in self.schemas.items()
        ]

    def members(self, schema: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the members of an object."""
        required = schema.get("required", ())
        return [
            {
                "name": name,
                "is_required": name in required,
                "type": self.words_for(member),
                "description": prose(member.get("description", "")),
            }
            for name, member in schema.get("properties", {}).items()
        ]

    def words_for(self, schema: dict[str, Any]) -> list[dict[str, str]]:
        """Return a schema in words: pieces of text, some of which name an object to link to."""
        return list(self._words_for(schema))

    def _words_for(self, schema: dict[str, Any]) -> Iterator[dict[str, str]]:
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(COMPONENT)
            yield {"text": name, "object": name}
        elif "oneOf" in schema:
            for index, option in enumerate(schema["oneOf"]):
                if index:
                    yield {"text": " or "}
                yield from self._words_for(option)
        elif "enum" in schema:
            yield {"text": " | ".join(map(str, schema["enum"]))}
        elif schema.get("type") == "array":
            yield {"text": "list of "}
            yield from self._words_for(schema["items"])
        elif set(schema.get("properties", ())) == {"amount", "currency"}:
            yield {"text": "Money", "object": "Money"}
        else:
            types = schema.get("type", "any")
            words = " or ".join(types) if isinstance(types, list) else types
            if "format" in schema and schema["format"] != "int64":
                words = schema["format"]
            yield {"text": f"{words} {self._bounds(schema)}".strip()}

    @staticmethod
    def _bounds(schema: dict[str, Any]) -> str:
        low = schema.get("minimum", schema.get("minLength"))
        high = schema.get("maximum", schema.get("maxLength"))
        match low, high:
            case None, None:
                return ""
            case _, None:
                return f"≥ {low}"
            case None, _:
                return f"≤ {high}"
        return f"{low}–{high}"

    def curl(self, path: str, verb: str, operation: dict[str, Any], body: dict[str, Any] | None) -> str:
        """Return an example call."""
        parts = [f"curl {self.base_url}{path}" if verb == "GET" else f"curl -X {verb} {self.base_url}{path}"]
        if operation.get("security"):
            parts.append('-H "Authorization: Bearer $FLINT_KEY"')
        if any(parameter.get("$ref", "").endswith("/IdempotencyKey") for parameter in operation.get("parameters", ())):
            parts.append('-H "Idempotency-Key: $(uuidgen)"')
        if body is not None:
            parts.append('-H "Content-Type: application/json"')
            parts.append(f"-d '{json.dumps(self.example(body), ensure_ascii=False)}'")
        return " \\\n  ".join(parts)

    def example(self, schema: dict[str, Any], depth: int = 0) -> Any:
        """Return a value of a schema: what is required, and nothing that is not."""
        if "$ref" in schema:
            return self.example(self.schemas[schema["$ref"].removeprefix(COMPONENT)], depth + 1)
        if "oneOf" in schema:
            return self.example(schema["oneOf"][0], depth)
        if "enum" in schema:
            return "EUR" if "EUR" in schema["enum"] else schema["enum"][0]
        if "default" in schema:
            return schema["default"]
        kind = schema.get("type")
        match kind[0] if isinstance(kind, list) else kind:
            case "object":
                members = schema.get("properties", {})
                shown = schema.get("required") or (list(members)[:1] if schema.get("minProperties") else ())
                return {name: self.example(members[name], depth + 1) for name in shown if name in members}
            case "array":
                return [self.example(schema["items"], depth + 1)] if schema.get("minItems") else []
            case "integer":
                return max(schema.get("minimum", 1), 1)
            case "number":
                return 10.5
            case "boolean":
                return True
        return EXAMPLES.get(schema.get("format", ""), "text")
