"""OpenAI's own SDK works through the gateway as it does without, and each answer is booked at its cost."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.rig_recorded import Recorded, own, recorded
from tests.gateway.rig_sdk import Side, Sides, sides

openai = pytest.importorskip("openai", reason="needs the SDK `openai` (dependency group test)")

pytestmark = pytest.mark.filterwarnings("ignore")  # what the SDK warns of is its own affair

HOST = "api.openai.com"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with sides(tmp_path_factory.mktemp("openai"), HOST) as opened:
        yield opened


def sync(side: Side, retries: int = 0) -> Any:
    return openai.OpenAI(**side.openai(), max_retries=retries, timeout=10)


@cache
def kept(side: Side) -> Any:
    """One client for many calls: making one takes longer than a call."""
    return sync(side)


def asynchronous(side: Side, retries: int = 0) -> Any:
    return openai.AsyncOpenAI(**side.openai(), max_retries=retries, timeout=10)


def said(answer: Any) -> Any:
    """An answer, or each event of a stream, as plain values."""
    return answer.model_dump()


def asking(resource: str, one: Recorded) -> Callable[[Side], Any]:
    """Asks what was asked when it was recorded, with the synchronous client."""

    def call(side: Side) -> Any:
        with sync(side) as client:
            method = client
            for name in f"{resource}.create".split("."):
                method = getattr(method, name)
            answer = method(**one.asked)
            return [said(event) for event in answer] if one.is_stream else said(answer)

    return call


def asking_async(resource: str, one: Recorded) -> Callable[[Side], Any]:
    async def call(side: Side) -> Any:
        async with asynchronous(side) as client:
            method = client
            for name in f"{resource}.create".split("."):
                method = getattr(method, name)
            answer = await method(**one.asked)
            return [said(event) async for event in answer] if one.is_stream else said(answer)

    return call


CASES = [
    ("chat.completions", "openai-chat"),
    ("chat.completions", "openai-tools"),
    ("chat.completions", "openai-chat-stream-usage"),
    ("chat.completions", "openai-tools-stream"),
    ("responses", "openai-responses"),
    ("responses", "openai-responses-stream"),
    ("embeddings", "openai-embeddings"),
]


@pytest.mark.parametrize(("resource", "name"), CASES, ids=[name for _, name in CASES])
def test_each_kind_of_call(both: Sides, resource: str, name: str) -> None:
    assert both.compare(asking(resource, own(name)), own(name))


@pytest.mark.parametrize(("resource", "name"), CASES, ids=[name for _, name in CASES])
def test_each_kind_of_call_asynchronously(both: Sides, resource: str, name: str) -> None:
    assert both.compare_async(asking_async(resource, own(name)), own(name))


def test_a_stream_is_put_together_by_the_sdk(both: Sides) -> None:
    one = own("openai-chat-stream-usage")

    def call(side: Side) -> Any:
        asked = {key: value for key, value in one.asked.items() if key != "stream"}
        with sync(side) as client, client.chat.completions.stream(**asked) as stream:
            kinds = [event.type for event in stream]
            return kinds, said(stream.get_final_completion())

    kinds, final = both.compare(call, one)
    assert final["usage"]["prompt_tokens"] == 14
    assert "content.done" in kinds


@pytest.mark.parametrize(
    "name", ["openai-error-400", "openai-error-404", "openai-error-429", "openai-error-500"]
)
def test_each_error_is_raised_as_without_us(both: Sides, name: str) -> None:
    def call(side: Side) -> Any:
        with sync(side) as client, pytest.raises(openai.APIStatusError) as raised:
            client.chat.completions.create(**own(name).asked)
        error = raised.value
        return (
            type(error),
            error.status_code,
            error.body,
            error.request_id,
            str(error),
            error.response.content,
        )

    kind, status, *_ = both.compare(call, own(name))
    assert (kind is openai.RateLimitError) == (status == 429)


def test_each_try_of_the_sdk_is_a_call(both: Sides) -> None:
    """The SDK retries by Retry-After as it would without us; each of its tries is a row."""

    def call(side: Side) -> Any:
        with sync(side, retries=2) as client:
            return said(client.chat.completions.create(**own("openai-chat").asked))

    both.compare(call, own("openai-error-429"), own("openai-error-500"), own("openai-chat"))
    assert [r.header("x-stainless-retry-count") for r in both.provider.log] == ["0", "1", "2"]


def test_raw_answers_have_the_providers_headers(both: Sides) -> None:
    def call(side: Side) -> Any:
        with sync(side) as client:
            answer = client.chat.completions.with_raw_response.create(**own("openai-chat").asked)
            wanted = (
                "x-request-id",
                "openai-processing-ms",
                "x-ratelimit-remaining-requests",
                "content-type",
            )
            return answer.request_id, [answer.headers[name] for name in wanted], answer.content

    assert both.compare(call, own("openai-chat"))[0] == "req_own1"


def test_every_recorded_chat_answer(both: Sides, shared: Callable[..., Path]) -> None:
    """Each is parsed to the same values, and booked at what the meter says of the same bytes."""
    ours = [one for one in recorded(shared, "openai") if one.target == "/v1/chat/completions"]
    # Streams that did not ask for usage are changed by a policy, which is tested by itself (P12).
    asked = [one for one in ours if not one.is_stream or b"include_usage" in one.request_body]
    assert both.compare_all((_whatever(one, "chat.completions"), one) for one in asked) > 200


def test_every_recorded_response(both: Sides, shared: Callable[..., Path]) -> None:
    """The same."""
    ours = [one for one in recorded(shared, "openai") if one.target == "/v1/responses"]
    assert both.compare_all((_whatever(one, "responses"), one) for one in ours) > 150


def _whatever(one: Recorded, resource: str) -> Callable[[Side], Any]:
    """Posts the recorded request as it is, and has the SDK read the answer."""

    def call(side: Side) -> Any:
        client = kept(side)
        method = client.responses if resource == "responses" else client.chat.completions
        rest = {key: value for key, value in one.asked.items() if key != "stream"}
        known = {"model": rest["model"], "stream": one.is_stream}
        known["input" if resource == "responses" else "messages"] = []
        try:
            answer = method.with_raw_response.create(**known, extra_body=rest)
        except openai.APIStatusError as error:
            return error.status_code, error.body
        parsed = answer.parse()
        return [said(event) for event in parsed] if one.is_stream else (said(parsed), answer.content)

    return call
