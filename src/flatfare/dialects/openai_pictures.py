"""OpenAI's pictures: billed by tokens where the answer counts them, else by picture, size and quality."""

from collections.abc import Mapping

import msgspec

from flatfare.core.usage import Usage
from flatfare.dialects.dialect import Route, StreamReader
from flatfare.dialects.leaves import Wire, count_of, rest_of, usage_of
from flatfare.dialects.openai_shape import conditions_of, moment_of
from flatfare.dialects.reading import Conditions, Exchange, Part, Reading, unread


class ImageDetails(msgspec.Struct):
    """Parts of a picture model's tokens."""

    text_tokens: Wire = None
    image_tokens: Wire = None
    cached_tokens: Wire = None


class ImageUsage(msgspec.Struct):
    """The usage object of a picture."""

    input_tokens: Wire = None
    output_tokens: Wire = None
    input_tokens_details: ImageDetails | None = None
    output_tokens_details: ImageDetails | None = None


class ImageBody(msgspec.Struct):
    """What the meter reads of an answer with pictures, or of the event that ends a streamed one."""

    type: str | None = None
    created: Wire = None
    created_at: Wire = None
    model: str | None = None
    data: list[msgspec.Raw] | None = None
    size: str | None = None
    quality: str | None = None
    usage: ImageUsage | None = None


_decode = msgspec.json.Decoder(ImageBody).decode

# Tokens of a picture that gpt-image-1 and gpt-image-1.5 draw, by quality and size (developers.openai.com/api/
# docs/guides/image-generation, 2026-11): used where an answer does not count them itself. The same page's
# prices by picture agree with it for these two models, not for gpt-image-1-mini.
PICTURE_TOKENS: Mapping[tuple[str, str], int] = {
    ("low", "1024x1024"): 272,
    ("low", "1024x1536"): 408,
    ("low", "1536x1024"): 400,
    ("medium", "1024x1024"): 1056,
    ("medium", "1024x1536"): 1584,
    ("medium", "1536x1024"): 1568,
    ("high", "1024x1024"): 4160,
    ("high", "1024x1536"): 6240,
    ("high", "1536x1024"): 6208,
}


def image_leaves(usage: ImageUsage) -> Usage:
    """Tokens of text and pictures, read and drawn; what was read and is not told apart counts as text."""
    read, drawn = usage.input_tokens_details or ImageDetails(), usage.output_tokens_details or ImageDetails()
    total = count_of(usage.input_tokens, "input_tokens")
    seen = count_of(read.image_tokens, "image_tokens")
    cached = count_of(read.cached_tokens, "cached_tokens")
    output = count_of(usage.output_tokens, "output_tokens")
    written = count_of(drawn.text_tokens, "text_tokens")
    text = rest_of(total, "input_tokens", {"image_tokens": seen})
    cached_text = min(cached, text)
    return usage_of(
        input=text - cached_text,
        cache_read=cached_text,
        input_image=rest_of(seen, "image_tokens", {"cached_tokens": cached - cached_text}),
        cache_read_image=cached - cached_text,
        output=written,
        output_image=rest_of(output, "output_tokens", {"text_tokens": written}),
    )


def picture_part(model: str, quality: str, size: str) -> Part:
    """A picture whose tokens the answer does not count, by what is published for its quality and size."""
    is_in_table = model.startswith("gpt-image-1") and "mini" not in model
    tokens = PICTURE_TOKENS.get((quality, size)) if is_in_table else None
    details = {"quality": quality, "size": size}
    how = "the answer does not count its picture's tokens: taken from quality and size, without the prompt's"
    if tokens is None:
        return Part(model, usage_of(image=1), Conditions(details=details), estimated=how)
    return Part(model, usage_of(output_image=tokens), estimated=how)


def whole(body: bytes, exchange: Exchange) -> Reading:
    """Reads an answer with pictures."""
    return _reading(_decode(body), exchange)


def _reading(answer: ImageBody, exchange: Exchange) -> Reading:
    asked = exchange.asked
    model = answer.model or asked.model or ("dall-e-2" if answer.usage is None else None)
    created = moment_of(answer.created or answer.created_at)
    if answer.usage is not None and (
        answer.usage.input_tokens is not None or answer.usage.output_tokens is not None
    ):
        part = Part(model, image_leaves(answer.usage), conditions_of(None, asked))
        return Reading(parts=(part,), model=model, created_at_us=created)
    count = len(answer.data or ())
    if not count:
        return unread("the answer has neither usage nor pictures", model)
    return Reading(
        parts=_by_picture(model or "", count, answer, exchange), model=model, created_at_us=created
    )


def _by_picture(model: str, count: int, answer: ImageBody, exchange: Exchange) -> tuple[Part, ...]:
    """Pictures without usage: most models are billed so; GPT image models count tokens, and hid them."""
    details = exchange.asked.details
    is_billed_so = "gpt-image" not in model
    if is_billed_so and "dall-e" not in model:
        return (Part(model, usage_of(image=count), conditions_of(None, exchange.asked)),)
    # The defaults of the request (API reference of images, 2026-11).
    size = answer.size or details.get("size") or "1024x1024"
    quality = answer.quality or details.get("quality") or ("standard" if is_billed_so else "auto")
    if not is_billed_so:
        return tuple(picture_part(model, quality, size) for _ in range(min(count, 64)))
    conditions = Conditions(details={**details, "size": size, "quality": quality})
    is_said = bool(answer.size or details.get("size"))
    return (Part(model, usage_of(image=count), conditions, estimated=None if is_said else _NO_SIZE),)


_NO_SIZE = "neither the request nor the answer says how large the pictures are: the usual size was taken"


class PictureStream:
    """Usage of streamed pictures: in the event that completes each; sketches on the way have none."""

    __slots__ = ("_exchange", "_parts", "_reading")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._reading: Reading | None = None
        self._parts: tuple[Part, ...] = ()

    def event(self, name: str, data: bytes) -> None:
        if data == b"[DONE]" or b"partial_image" in data[:200]:
            return
        answer = _decode(data)
        if (answer.type or "").endswith(".completed"):
            self._reading = _reading(answer, self._exchange)
            self._parts += self._reading.parts

    def finish(self) -> Reading:
        if self._reading is None:
            return unread("the stream was cut before its usage came", self._exchange.asked.model)
        return msgspec.structs.replace(self._reading, parts=self._parts)


def _stream(exchange: Exchange) -> StreamReader:
    return PictureStream(exchange)


def picture_routes(prefix: str = "v1/") -> tuple[Route, ...]:
    """Pictures made, edited and varied."""
    return tuple(
        Route(
            endpoint=f"images.{verb}",
            path=f"{prefix}images/{verb}",
            whole=whole,
            stream=_stream,
            marks={"created": None, "data": None} if verb == "generations" else {},
            stream_marks={"type": "image_generation."} if verb == "generations" else {},
        )
        for verb in ("generations", "edits", "variations")
    )
