"""Records of traces: what OpenTelemetry exports as a batch of spans, and which records are calls to a model.

A span of a tool or an agent, and a record of another type, says nothing of its own about tokens: its
model calls have records of theirs, and counting both would count twice.
"""

from collections.abc import Iterator, Mapping

_BATCHES = ("resourceSpans", "resource_spans")
_SCOPES = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans")
_MODEL_CALL = ("gen_ai.", "llm.")
_NO_CALLS = frozenset(("invoke_agent", "create_agent", "invoke_workflow", "execute_tool", "plan"))
"""Operations of spans beside the calls themselves (OpenTelemetry GenAI conventions, 2026-11)."""

_OTHER_TYPES = frozenset(("SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "GUARDRAIL"))
"""Types of Langfuse's observations beside GENERATION and EMBEDDING (its docs, 2026-11)."""


def is_batch(value: object) -> bool:
    """Whether a document is a batch of spans, as OpenTelemetry's JSON writes it."""
    return isinstance(value, Mapping) and any(isinstance(value.get(key), list) for key in _BATCHES)


def spans_of(batch: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Every span of a batch that tells of a language model, with the attributes of its resource."""
    for resource in _records(batch, _BATCHES):
        about = resource.get("resource")
        shared = _attributes(about.get("attributes")) if isinstance(about, Mapping) else {}
        for scope in _records(resource, _SCOPES):
            for span in _records(scope, ("spans",)):
                own = _attributes(span.get("attributes"))
                if any(name.startswith(_MODEL_CALL) for name in own):
                    plain = {key: part for key, part in span.items() if not isinstance(part, (dict, list))}
                    yield {**shared, **plain, **_failed(span.get("status")), "attributes": own}


def is_call(record: Mapping[str, object]) -> bool:
    """Whether a record of a trace tells of one call to a model; any other record is taken for one."""
    if "traceId" in record and record.get("type") in _OTHER_TYPES:
        return False
    attributes = record.get("attributes")
    said = attributes if isinstance(attributes, Mapping) else record
    return said.get("gen_ai.operation.name") not in _NO_CALLS


def _failed(status: object) -> dict[str, object]:
    code = status.get("code") if isinstance(status, Mapping) else None
    return {"status": "failed"} if code in (2, "STATUS_CODE_ERROR") else {}


def _records(holder: Mapping[str, object], names: tuple[str, ...]) -> Iterator[Mapping[str, object]]:
    for name in names:
        listed = holder.get(name)
        if isinstance(listed, list):
            yield from (one for one in listed if isinstance(one, Mapping))


def _attributes(listed: object) -> dict[str, object]:
    """Attributes as a record; OpenTelemetry writes each as its key and a value named by its type."""
    if isinstance(listed, Mapping):
        return {str(name): value for name, value in listed.items()}
    if not isinstance(listed, list):
        return {}
    return {
        str(one["key"]): _value(one.get("value"))
        for one in listed
        if isinstance(one, Mapping) and "key" in one
    }


def _value(typed: object) -> object:
    if not isinstance(typed, Mapping):
        return typed
    for name in ("stringValue", "intValue", "doubleValue", "boolValue"):
        if name in typed:
            return typed[name]
    return None
