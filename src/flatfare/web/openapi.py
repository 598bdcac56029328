"""The OpenAPI document of the API, made from the list of endpoints."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from flatfare import __version__
from flatfare.web.endpoint import Endpoint
from flatfare.web.problems import MEDIA_TYPE, Problem

_REF = "#/components/schemas/{name}"


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    listed = list(endpoints)
    types = [Problem, *(kind for one in listed for kind in (one.takes, one.gives) if kind is not None)]
    _, components = msgspec.json.schema_components(dict.fromkeys(types), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for one in listed:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Flatfare",
            "version": __version__,
            "description": "Tasks, verdicts, reports, settings. Money is decimal text; times are ISO 8601.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _operation(one: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": [*_in_path(one.path), *_in_query(one)],
        "responses": {
            str(one.status): {"description": "Done.", "content": _json(_schema(one.gives))},
            "default": {
                "description": "What was found, what was expected, and what to do.",
                "content": {MEDIA_TYPE: {"schema": _schema(Problem)}},
            },
        },
    }
    if one.takes is not None:
        operation["requestBody"] = {"required": True, "content": _json(_schema(one.takes))}
    return operation


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)", path)
    ]


def _in_query(one: Endpoint) -> list[dict[str, Any]]:
    schema = msgspec.json.schema_components([one.query], ref_template=_REF)[1].get(one.query.__name__, {})
    needed = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": shape}
        for name, shape in schema.get("properties", {}).items()
    ]


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _schema(kind: type) -> dict[str, Any]:
    return msgspec.json.schema_components([kind], ref_template=_REF)[0][0]
