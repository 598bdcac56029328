"""Anthropic's Messages at hosts that copied them beside OpenAI's shape.

They are read as Anthropic's, and priced as the host's.
"""

import msgspec

from flatfare.dialects import anthropic
from flatfare.dialects.dialect import NO_MARKS

MESSAGES = tuple(
    msgspec.structs.replace(route, path=f"(?:anthropic/)?{route.path}", marks=NO_MARKS, stream_marks=NO_MARKS)
    for route in anthropic.DIALECT.routes
    if route.endpoint in ("messages", "messages.count_tokens")
)
"""The routes of messages, below the host's own path or below ``anthropic/``."""
