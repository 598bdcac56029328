"""What a form of ours sent."""

from urllib.parse import parse_qsl

from starlette.requests import Request

from flatfare.core.errors import BadUsage

FORM_BYTES_MAX = 64 * 1024


async def form_fields(request: Request) -> dict[str, str]:
    """The fields by name; of one that stands twice the values joined by commas."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BadUsage(f"Found a body of type {kind or 'unsaid'!r}: a form of these pages was expected.")
    raw = await request.body()
    if len(raw) > FORM_BYTES_MAX:
        raise BadUsage(f"Found a form of {len(raw)} bytes: at most {FORM_BYTES_MAX}.")
    fields: dict[str, str] = {}
    for name, value in parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True):
        fields[name] = f"{fields[name]},{value}" if name in fields else value
    return fields
