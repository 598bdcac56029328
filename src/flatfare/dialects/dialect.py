"""What a dialect declares: its hosts, its routes, how it reads a request, and its traps.

Everything the rest of the product knows of a provider's wire format is in one value,
named ``DIALECT`` in a module of this package; nothing else lists it.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from flatfare.core.errors import BadInput
from flatfare.dialects.framing import EVENT_BYTES_MAX, Framing, JsonLines, ServerSentEvents
from flatfare.dialects.reading import Asked, Exchange, Reading

NO_MARKS: Mapping[str, str | None] = {}


class StreamReader(Protocol):
    """Reads the events of one stream; its memory does not grow with the stream but for the text seen."""

    def event(self, name: str, data: bytes) -> None:
        """One event: its name (or empty) and data. May raise what decoding raises."""

    def finish(self) -> Reading:
        """What the stream has said by now: in the end, also where it was cut; of a session, any time."""


Whole = Callable[[bytes, Exchange], Reading]
"""Reads a whole body. May raise ``BadInput`` and what ``msgspec`` raises: the caller makes it a reason."""


def read_lines(reader: StreamReader, body: bytes) -> Reading:
    """Reads JSON lines that came at once, each as it would be read in a stream.

    Raises ``BadInput`` where a line is too large, and what decoding raises.
    """
    framing = JsonLines()
    for name, data in (*framing.feed(body), *framing.finish()):
        reader.event(name, data)
    if framing.dropped:
        raise BadInput(f"Found {framing.dropped} lines of more than {EVENT_BYTES_MAX} bytes.")
    return reader.finish()


def reads_nothing(body: bytes, exchange: Exchange) -> Reading:
    """For routes that are free: nobody asks."""
    raise AssertionError(f"{exchange.endpoint} is free and has no usage to read")


class ResultLine(msgspec.Struct, frozen=True):
    """One line of a batch's results: whose it is, and its reading as a call of its own."""

    name: str  # the client's own, its custom_id
    status: int
    reading: Reading


class Route(msgspec.Struct, frozen=True):
    """One endpoint of a provider: where it stands and who reads it."""

    endpoint: str  # chat.completions, messages, generateContent …
    path: str  # pattern matched from the end of the URL's path; groups model, region and upstream are read
    whole: Whole = reads_nothing
    stream: Callable[[Exchange], StreamReader] | None = None
    framing: Callable[[], Framing] = ServerSentEvents
    methods: tuple[str, ...] = ("POST",)
    free: str | None = None  # why it costs nothing, where it does
    starts: str | None = None  # what it begins that is billed by another call, or where nobody here sees it
    marks: Mapping[str, str | None] = NO_MARKS
    """Keys at the top of an answer's body by which it is known without its address; the value is
    the beginning that a text value must have, or None where any value will do."""
    stream_marks: Mapping[str, str | None] = NO_MARKS  # the same for the first event of a stream
    lines: Callable[[bytes, Exchange], ResultLine | None] | None = None
    """Reads one line of a batch's results by itself; None for a line that is none. May raise as ``whole``."""
    adds_up: bool = False  # each event is billed by itself: where one cannot be read, there is no sum
    is_binary: bool = False  # the answer is no text (speech, pictures): only the request tells what it cost


class Prompt(msgspec.Struct, frozen=True):
    """What a request sends to be read, for counting offline; never stored."""

    text: str
    messages: int = 0  # chat formats spend tokens on each message's frame
    has_media: bool = False  # pictures or sound, whose tokens the text does not show
    tools: int = 0  # tools offered; their names and descriptions are in the text
    tool_fields: int = 0  # arguments that the tools take


class Dialect(msgspec.Struct, frozen=True):
    """A provider's wire format."""

    provider: str
    hosts: tuple[str, ...]  # patterns matched to the whole host name; groups region and upstream are read
    routes: tuple[Route, ...]
    read_request: Callable[[bytes, str], Asked]  # from the request's body and its URL path
    traps: str  # a list of plain sentences in Markdown, for the page of this dialect
    prompt: Callable[[bytes], Prompt] | None = None  # what the request sends to be read
    tokens: str | None = None  # the public vocabulary its models count with: o200k, cl100k
    accepts: str = ""  # the path below which the gateway serves it, such as /anthropic
    also: tuple[str, ...] = ()  # other names that people and tools call it by
