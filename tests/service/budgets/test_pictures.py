"""Pictures in requests: their size instead of their bytes, and only where a provider looks for pictures."""

import base64
import json

import pytest

from flatfare.dialects.reading import Asked
from flatfare.prices.limits import limits_of
from flatfare.service.budgets.bounding import Bounds
from flatfare.service.budgets.pictures import Shown, shown
from flatfare.service.costing.metering import standard_book
from tests.service.budgets.test_picture_sizes import jpeg, png
from tests.service.budgets.test_sound_lengths import mp3, wave

NOW_US = 1_795_000_000_000_000
BOUNDS = Bounds(standard_book())

BYTES = png(1024, 1024) + b"\x00" * 300_000
DATA = base64.b64encode(BYTES).decode()
URL = f"data:image/png;base64,{DATA}"


def reads(endpoint: str, model: str, body: object, provider: str = "openai", rate: int = 0) -> int:
    """What is held for reading, in tokens."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = BOUNDS.of(provider, endpoint, Asked(model, service_tier="default", output_limit=1), raw, NOW_US)
    assert found.most_nano is not None, found.reason
    return found.fixed_nano // rate


def chat(*parts: object, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, *parts]}], **more}


def by_url(url: str = URL, **more: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


SHAPES = [
    ("openai", "chat.completions", "gpt-4o", 2500, 765, chat(by_url())),
    ("azure", "chat.completions", "gpt-4o", 2500, 85, chat(by_url(detail="low"))),
    (
        *("openai", "responses", "gpt-5-mini", 250, 1659),
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": URL}]}]},
    ),
    (
        *("openai", "responses", "gpt-5.6", 5000, 2520),
        {
            "input": [
                {"type": "function_call_output", "output": [{"type": "input_image", "image_url": URL}]},
            ]
        },
    ),
    (
        *("openai", "responses", "computer-use-preview", 3000, 581),
        {"input": [{"type": "computer_call_output", "output": {
            "type": "computer_screenshot", "image_url": URL}}]},
    ),
    (
        *("anthropic", "messages", "claude-sonnet-4-6", 3000, 1399),
        chat({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}),
    ),
    (
        *("vertex", "messages", "claude-opus-4-8", 5000, 1399),
        chat(
            {
                "type": "tool_result",
                "tool_use_id": "1",
                "content": [{"type": "image", "source": {"type": "base64", "data": DATA}}],
            }
        ),
    ),
    (
        *("gemini", "generateContent", "gemini-2.5-flash", 300, 1290),
        {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": DATA}}]}]},
    ),
    (
        *("vertex", "streamGenerateContent", "gemini-3-flash-preview", 500, 2240),
        {"contents": {"parts": [{"functionResponse": {"parts": [
            {"inline_data": {"mime_type": "image/png", "data": DATA}}]}}]}},
    ),
    (
        *("bedrock", "converse", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", 3300, 1399),
        chat({"image": {"format": "png", "source": {"bytes": DATA}}}),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "endpoint", "model", "rate", "tokens", "body"), SHAPES)
def test_a_picture_counts_by_its_size_and_not_by_its_bytes(
    provider: str, endpoint: str, model: str, rate: int, tokens: int, body: object
) -> None:
    """What is left of the request counts by its bytes, with 64 tokens for what is put around it."""
    rest = len(json.dumps(body)) - len(DATA) + 64
    assert reads(endpoint, model, body, provider, rate) == rest + tokens


def test_a_picture_that_stands_elsewhere_counts_the_most_for_its_model() -> None:
    url = chat(by_url("https://example.org/x.png"))
    assert reads("chat.completions", "gpt-4o", url, rate=2500) == len(json.dumps(url)) + 64 + 1445
    kept = {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}]}
    assert reads("responses", "gpt-4o", kept, rate=2500) == len(json.dumps(kept)) + 64 + 1445
    own = chat({"type": "image", "source": {"type": "file", "file_id": "file_1"}})
    assert reads("messages", "claude-sonnet-4-6", own, "anthropic", 3000) == len(json.dumps(own)) + 64 + 1640


def test_a_file_beside_a_picture_is_as_long_as_the_model_can_read() -> None:
    document = {"type": "input_file", "file_id": "file-2"}
    kept = {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}, document]}]}
    assert reads("responses", "gpt-4o", kept, rate=2500) == limits_of("gpt-4o").reads


def test_where_a_model_keeps_a_picture_s_size_one_that_is_not_seen_here_fills_the_window() -> None:
    """GPT-5.6 reads a picture of any size whole, unless the request says less will do."""
    window = limits_of("gpt-5.6").reads or 0
    assert reads("chat.completions", "gpt-5.6", chat(by_url("https://example.org/x")), rate=10_000) == window
    body = chat(by_url("https://example.org/x", detail="high"))
    assert reads("chat.completions", "gpt-5.6", body, rate=5000) == len(json.dumps(body)) + 64 + 24_600
    huge = base64.b64encode(png(20_000, 20_000)).decode()
    seen = chat(by_url("data:image/png;base64," + huge))
    assert reads("chat.completions", "gpt-5.6", seen, rate=10_000) > 390_625


@pytest.mark.parametrize(
    "body",
    [
        chat({"type": "text", "text": URL}),
        chat({"type": "text", "text": "x", "image_url": {"url": URL}}),
        chat(tools=[{"type": "function", "function": {"name": "f", "parameters": {"examples": [by_url()]}}}]),
        chat(response_format={"type": "json_schema", "json_schema": {"schema": {"default": by_url()}}}),
        {"messages": [{"role": "assistant", "content": "", "tool_calls": [{"x": by_url()}]}]},
        {"messages": [{"role": "user", "content": {"type": "image_url", "image_url": URL}}]},
        {"input": [{"role": "user", "content": [by_url()]}]},
    ],
)
def test_the_same_bytes_where_no_picture_stands_are_text(body: object) -> None:
    raw = json.dumps(body).encode()
    assert shown("chat.completions", "gpt-4o", raw).written == ()
    assert reads("chat.completions", "gpt-4o", body, rate=2500) == limits_of("gpt-4o").reads


def test_what_a_tool_was_given_is_text_even_if_it_looks_like_a_picture() -> None:
    block = {"type": "image", "source": {"type": "base64", "data": DATA}}
    use = chat({"type": "tool_use", "id": "1", "name": "f", "input": {"content": [block]}})
    assert shown("messages", "claude-sonnet-4-6", json.dumps(use).encode()).written == ()
    answer = {"functionResponse": {"name": "f", "response": {"parts": [
        {"inlineData": {"mimeType": "image/png", "data": DATA}}]}}}  # fmt: skip
    said = {"contents": [{"parts": [answer]}]}
    assert shown("generateContent", "gemini-2.5-flash", json.dumps(said).encode()).written == ()


def test_of_a_name_that_stands_twice_both_count() -> None:
    """Readers of JSON differ in which of two they take."""
    one = json.dumps(chat(by_url())).encode()
    twice = one[:-1] + b", " + one[1:]
    alone = reads("chat.completions", "gpt-4o", one, rate=2500)
    assert reads("chat.completions", "gpt-4o", twice, rate=2500) == min(
        limits_of("gpt-4o").reads or 0, alone + len(one) + 49_000
    )


def test_a_picture_that_cannot_be_read_counts_its_bytes_and_the_most() -> None:
    broken = "data:image/png;base64," + base64.b64encode(b"no picture at all " * 100).decode()
    body = chat(by_url(broken))
    assert reads("chat.completions", "gpt-4o", body, rate=2500) == len(json.dumps(body)) + 64 + 1445


def test_of_a_model_without_a_known_rule_bytes_and_the_dearest_count() -> None:
    body = chat(by_url())
    assert shown("chat.completions", "pixtral-12b", json.dumps(body).encode()) == Shown()
    small = chat(by_url("data:image/png;base64," + base64.b64encode(png(10, 10)).decode()))
    found = reads("chat.completions", "pixtral-12b", small, "mistral", 150)
    assert found == len(json.dumps(small)) + 64 + 49_000


def test_a_request_that_says_how_many_tokens_a_picture_is_fills_the_window() -> None:
    part = {
        "inlineData": {"mimeType": "image/png", "data": DATA},
        "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH", "numTokens": 900_000},
    }
    found = reads(
        "generateContent", "gemini-3-flash-preview", {"contents": [{"parts": [part]}]}, "gemini", 500
    )
    assert found == limits_of("gemini-3-flash-preview").reads


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"messages": 3, "image":1}', b'"image_url":', b'{"image":"\xff"}']
)
@pytest.mark.parametrize(
    "endpoint", ["chat.completions", "responses", "messages", "generateContent", "converse"]
)
def test_no_body_makes_it_fail(body: bytes, endpoint: str) -> None:
    assert shown(endpoint, "gpt-4o", body) == Shown()
    assert shown(endpoint, "gpt-6-sol", body).tokens in (None, 0)


def test_a_reference_to_a_former_item_is_as_long_as_the_model_can_read() -> None:
    """Of OpenAI's responses; its kind may be left out."""
    for item in ({"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}):
        body = {"input": [{"role": "user", "content": "Hi"}, item]}
        assert reads("responses", "gpt-4o", body, rate=2500) == limits_of("gpt-4o").reads


def test_ten_photographs_no_longer_fill_the_window() -> None:
    photo = "data:image/jpeg;base64," + base64.b64encode(jpeg(4032, 3024) + b"\x00" * 3_000_000).decode()
    body = chat(*[by_url(photo)] * 10)
    assert reads("chat.completions", "gpt-4o", body, rate=2500) < 15_000


def said(file: bytes, kind: str) -> tuple[dict[str, object], int]:
    data = base64.b64encode(file).decode()
    return {"contents": [{"parts": [{"inlineData": {"mimeType": kind, "data": data}}]}]}, len(data)


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-flash-preview"])
def test_a_recording_to_gemini_counts_by_its_length(model: str) -> None:
    """32 tokens a second, at the rate of what is heard: $1.00 a million tokens."""
    body, data = said(wave(90), "audio/wav")
    found = reads("generateContent", model, body, "gemini", 1000)
    assert 90 * 32 <= found - (len(json.dumps(body)) - data + 64) < 91 * 32
    body, data = said(mp3(1000), "audio/mpeg")
    assert reads("generateContent", model, body, "gemini", 1000) < 15_000


@pytest.mark.parametrize(
    ("file", "kind", "model"),
    [
        (b"OggS" + b"\x00" * 99, "audio/ogg", "gemini-2.5-flash"),
        (wave(1), "video/mp4", "gemini-2.5-flash"),
        (wave(1), "audio/wav", "gemini-4-argon"),
        (b"%PDF-1.7", "application/pdf", "gemini-2.5-flash"),
    ],
)
def test_what_plays_without_an_end_fills_the_window(file: bytes, kind: str, model: str) -> None:
    raw = json.dumps(said(file, kind)[0]).encode()
    found = BOUNDS.of("gemini", "generateContent", Asked(model, output_limit=1), raw, NOW_US)
    assert found.fixed_nano >= (limits_of(model).reads or 0) * 1000 > 0


def test_a_film_beside_a_recording_fills_the_window() -> None:
    """Each of what plays is looked at, wherever it stands."""
    sound, film = said(wave(1), "audio/wav")[0], said(b"film", "video/mp4")[0]
    both = {"contents": [*sound["contents"], *film["contents"]]}  # type: ignore[misc]
    assert (
        reads("generateContent", "gemini-2.5-flash", both, "gemini", 1000)
        == limits_of("gemini-2.5-flash").reads
    )
    tools = {**sound, "tools": [{"functionDeclarations": [{"parameters": {"default": film}}]}]}
    assert (
        reads("generateContent", "gemini-2.5-flash", tools, "gemini", 1000)
        == limits_of("gemini-2.5-flash").reads
    )


def test_a_picture_s_bytes_repeated_as_text_count_as_text() -> None:
    own = base64.b64encode(png(1024, 1024) + b"\x00" * 30_000).decode()
    body = chat(by_url("data:image/png;base64," + own), {"type": "text", "text": own})
    expected = len(json.dumps(body)) - len(own) + 64 + 765
    assert reads("chat.completions", "gpt-4o", body, rate=2500) == expected > len(own)
