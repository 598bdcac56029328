"""Refusals of the gateway's own, in the shape in which each provider writes its errors.

A provider's SDK raises for them the error that it would raise for the provider's. They
say what to do; they never repeat a credential. A refusal by a guard names it in a header and
in a member of its own.
"""

from collections.abc import Mapping

import msgspec

from flatfare.core.money import decimal_text
from flatfare.gateway.wire import plain, whole_answer

_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_OPENAI_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_GOOGLE_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_AWS_TYPES = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    502: "ServiceUnavailableException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}


BUDGET_REMAINING = b"flatfare-budget-remaining"
"""Names what is left of the tightest budget, in dollars."""


def refusal(
    dialect: str,
    status: int,
    reason: str,
    call_id: str | None = None,
    retry_after_s: int | None = None,
    *,
    may_retry: bool = True,
    guard: Mapping[str, object] | None = None,
    left_nano: int | None = None,
) -> bytes:
    """The whole answer, head and body. Where trying again is of no use, SDKs are told not to."""
    headers: list[tuple[bytes, bytes]] = []
    if not may_retry:
        headers.append((b"x-should-retry", b"false"))
    if call_id is not None:
        headers.append((b"flatfare-call", call_id.encode()))
    if retry_after_s is not None:
        headers.append((b"Retry-After", b"%d" % retry_after_s))
    if status == 401:
        headers.append((b"WWW-Authenticate", b"Bearer"))
    if dialect == "bedrock":
        headers.append((b"x-amzn-ErrorType", _AWS_TYPES.get(status, "InternalServerException").encode()))
    if guard is not None:
        headers.append((b"flatfare-guard", plain(str(guard["name"]))))
    if left_nano is not None:
        headers.append((BUDGET_REMAINING, decimal_text(left_nano).encode()))
    headers.append((b"flatfare-refused", plain(reason)))
    return whole_answer(status, b"application/json", body_of(dialect, status, reason, guard), headers)


def body_of(dialect: str, status: int, reason: str, guard: Mapping[str, object] | None = None) -> bytes:
    """The error as this dialect writes it; OpenAI's shape where it has none of its own."""
    own = {} if guard is None else {"flatfare": {"guard": guard}}
    if dialect == "anthropic":
        kind = _ANTHROPIC_TYPES.get(status, "api_error")
        return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": reason, **own}})
    if dialect in ("gemini", "vertex"):
        name = _GOOGLE_STATUSES.get(status, "INTERNAL")
        return msgspec.json.encode({"error": {"code": status, "message": reason, "status": name, **own}})
    if dialect in ("bedrock", "sagemaker", "cohere"):
        return msgspec.json.encode({"message": reason, **own})
    if dialect == "mistral":
        kind = _OPENAI_TYPES.get(status, "api_error")
        return msgspec.json.encode(
            {"object": "error", "message": reason, "type": kind, "param": None, "code": None, **own}
        )
    if dialect == "ollama":
        return msgspec.json.encode({"error": reason, **own})
    return msgspec.json.encode(
        {
            "error": {
                "message": reason,
                "type": _OPENAI_TYPES.get(status, "api_error"),
                "param": None,
                "code": _OPENAI_CODES.get(status),
                **own,
            }
        }
    )
