"""Anthropic's own SDK works through the gateway as it does without, and each answer is booked at its cost."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.rig_recorded import Recorded, own, recorded
from tests.gateway.rig_sdk import Side, Sides, sides

anthropic = pytest.importorskip("anthropic", reason="needs the SDK `anthropic` (dependency group test)")

pytestmark = pytest.mark.filterwarnings("ignore")  # what the SDK warns of is its own affair

HOST = "api.anthropic.com"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with sides(tmp_path_factory.mktemp("anthropic"), HOST) as opened:
        yield opened


def sync(side: Side, retries: int = 0) -> Any:
    return anthropic.Anthropic(base_url=side.root, api_key=side.key, max_retries=retries, timeout=10)


@cache
def kept(side: Side) -> Any:
    """One client for many calls: making one takes longer than a call."""
    return sync(side)


def asking(one: Recorded) -> Callable[[Side], Any]:
    def call(side: Side) -> Any:
        with sync(side) as client:
            answer = client.messages.create(**one.asked)
            return [event.model_dump() for event in answer] if one.is_stream else answer.model_dump()

    return call


def asking_async(one: Recorded) -> Callable[[Side], Any]:
    async def call(side: Side) -> Any:
        async with anthropic.AsyncAnthropic(base_url=side.root, api_key=side.key, max_retries=0) as client:
            answer = await client.messages.create(**one.asked)
            return [event.model_dump() async for event in answer] if one.is_stream else answer.model_dump()

    return call


CASES = ["anthropic-messages", "anthropic-tools", "anthropic-messages-stream"]


@pytest.mark.parametrize("name", CASES)
def test_each_kind_of_call(both: Sides, name: str) -> None:
    assert both.compare(asking(own(name)), own(name))


@pytest.mark.parametrize("name", CASES)
def test_each_kind_of_call_asynchronously(both: Sides, name: str) -> None:
    assert both.compare_async(asking_async(own(name)), own(name))


def test_a_stream_is_put_together_by_the_sdk(both: Sides) -> None:
    one = own("anthropic-messages-stream")

    def call(side: Side) -> Any:
        asked = {key: value for key, value in one.asked.items() if key != "stream"}
        with sync(side) as client, client.messages.stream(**asked) as stream:
            return list(stream.text_stream), stream.get_final_message().model_dump()

    _, final = both.compare(call, one)
    assert final["usage"]["output_tokens"] == 57


def test_a_bearer_token_works_as_well_as_a_key(both: Sides) -> None:
    """Claude Code and others send ANTHROPIC_AUTH_TOKEN instead of an API key."""
    one = own("anthropic-messages")
    both.provider.forget()
    both.provider.next(one.answer())
    side = both.through(HOST)
    with anthropic.Anthropic(base_url=side.root, auth_token=side.key, api_key=None, max_retries=0) as client:
        assert client.messages.create(**one.asked).id == "msg_own1"
    (request,) = both.provider.log
    assert both.secret.encode() not in request.head
    both.gateway.new_rows(1)


def test_counting_tokens_is_free_and_on_record(both: Sides) -> None:
    one = own("anthropic-count-tokens")

    def call(side: Side) -> Any:
        with sync(side) as client:
            return client.messages.count_tokens(**one.asked).model_dump()

    assert both.compare(call, one) == {"input_tokens": 15}


@pytest.mark.parametrize("name", ["anthropic-error-400", "anthropic-error-529"])
def test_each_error_is_raised_as_without_us(both: Sides, name: str) -> None:
    def call(side: Side) -> Any:
        with sync(side) as client, pytest.raises(anthropic.APIStatusError) as raised:
            client.messages.create(**own(name).asked)
        error = raised.value
        return type(error), error.status_code, error.body, str(error), error.response.content

    both.compare(call, own(name))


def test_each_try_of_the_sdk_is_a_call(both: Sides) -> None:
    def call(side: Side) -> Any:
        with sync(side, retries=1) as client:
            return client.messages.create(**own("anthropic-messages").asked).model_dump()

    both.compare(call, own("anthropic-error-529"), own("anthropic-messages"))


def test_every_recorded_answer(both: Sides, shared: Callable[..., Path]) -> None:
    """Each is parsed to the same values, and booked at what the meter says of the same bytes."""
    ours = [
        one
        for one in recorded(shared, "anthropic")
        if one.target.partition("?")[0] == "/v1/messages" and one.is_readable
    ]
    assert both.compare_all((_whatever(one), one) for one in ours) > 200


def _whatever(one: Recorded) -> Callable[[Side], Any]:
    def call(side: Side) -> Any:
        client = kept(side)
        rest = {key: value for key, value in one.asked.items() if key != "stream"}
        known = {"model": rest["model"], "max_tokens": 1, "messages": [], "stream": one.is_stream}
        try:
            answer = client.messages.with_raw_response.create(**known, extra_body=rest)
        except anthropic.APIStatusError as error:
            return error.status_code, error.body
        parsed = answer.parse()
        if one.is_stream:
            return [event.model_dump() for event in parsed]
        return parsed.model_dump(), answer.http_response.content

    return call
