"""The OpenAPI document of the API, made from the list of endpoints."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from flatfare import __version__
from flatfare.web.endpoint import Endpoint
from flatfare.web.problems import MEDIA_TYPE, Problem

_REF = "#/components/schemas/{name}"


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    listed = list(endpoints)
    named, components = _schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for one in listed:
        query = components[named[one.query]["$ref"].removeprefix(_REF.format(name=""))]
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, named, query)
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


def _schemas(listed: Iterable[Endpoint]) -> tuple[dict[type, Any], dict[str, Any]]:
    """How each type is referred to, and what the references lead to: all at once, since names may meet."""
    bodies = dict.fromkeys(kind for one in listed for kind in (one.takes, one.gives) if kind is not None)
    queries = dict.fromkeys(one.query for one in listed)
    types = list(dict.fromkeys([Problem, *bodies, *queries]))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    return dict(zip(types, schemas, strict=True)), components


def _operation(one: Endpoint, named: Mapping[type, Any], query: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": [*_in_path(one.path), *_in_query(query)],
        "responses": {
            str(one.status): {"description": "Done.", "content": _json(named[one.gives])},
            "default": {
                "description": "What was found, what was expected, and what to do.",
                "content": {MEDIA_TYPE: {"schema": named[Problem]}},
            },
        },
    }
    if one.takes is not None:
        operation["requestBody"] = {"required": True, "content": _json(named[one.takes])}
    return operation


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)", path)
    ]


def _in_query(query: Mapping[str, Any]) -> list[dict[str, Any]]:
    needed = query.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": shape}
        for name, shape in query.get("properties", {}).items()
    ]


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
