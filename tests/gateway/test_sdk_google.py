"""Google's own SDK works through the gateway as it does without, and each answer is booked at its cost."""

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.rig_recorded import Recorded, own, recorded
from tests.gateway.rig_sdk import Side, Sides, sides

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports use what Python deprecates
    genai = pytest.importorskip("google.genai", reason="needs the SDK `google-genai` (dependency group test)")
    from google.genai import errors, types

pytestmark = pytest.mark.filterwarnings("ignore")  # what the SDK warns of is its own affair

HOST = "generativelanguage.googleapis.com"
MODEL = "gemini-2.5-flash"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with sides(tmp_path_factory.mktemp("google"), HOST) as opened:
        yield opened


def client_of(side: Side) -> Any:
    return genai.Client(api_key=side.key, http_options=types.HttpOptions(base_url=side.root))


@cache
def kept(side: Side) -> Any:
    """One client for many calls: making one takes longer than a call."""
    return client_of(side)


def values(answer: Any) -> Any:
    return answer.model_dump(exclude={"sdk_http_response"})


def test_an_answer(both: Sides) -> None:
    def call(side: Side) -> Any:
        with client_of(side) as client:
            return values(client.models.generate_content(model=MODEL, contents="How many legs has a spider?"))

    assert both.compare(call, own("gemini-generate"))["response_id"] == "own-g1"


def test_a_stream(both: Sides) -> None:
    def call(side: Side) -> Any:
        with client_of(side) as client:
            stream = client.models.generate_content_stream(model=MODEL, contents="How many legs?")
            return [values(part) for part in stream]

    assert len(both.compare(call, own("gemini-generate-stream"))) == 2


def test_an_answer_asynchronously(both: Sides) -> None:
    async def call(side: Side) -> Any:
        async with client_of(side).aio as client:
            return values(await client.models.generate_content(model=MODEL, contents="How many legs?"))

    both.compare_async(call, own("gemini-generate"))


def test_a_stream_asynchronously(both: Sides) -> None:
    async def call(side: Side) -> Any:
        async with client_of(side).aio as client:
            stream = await client.models.generate_content_stream(model=MODEL, contents="How many legs?")
            return [values(part) async for part in stream]

    both.compare_async(call, own("gemini-generate-stream"))


def test_counting_tokens_is_free_and_on_record(both: Sides) -> None:
    def call(side: Side) -> Any:
        with client_of(side) as client:
            return client.models.count_tokens(model=MODEL, contents="How many legs?").total_tokens

    assert both.compare(call, own("gemini-count-tokens")) == 8


def test_an_error_is_raised_as_without_us(both: Sides) -> None:
    def call(side: Side) -> Any:
        with client_of(side) as client, pytest.raises(errors.ClientError) as raised:
            client.models.generate_content(model=MODEL, contents="How many legs?")
        return raised.value.code, raised.value.status, raised.value.message, raised.value.details

    assert both.compare(call, own("gemini-error-400"))[1] == "INVALID_ARGUMENT"


def test_a_key_in_the_address_does_not_travel(both: Sides) -> None:
    """Google lets a key stand in the query; ours is taken out of it."""
    one = own("gemini-generate")
    both.provider.forget()
    both.provider.next(one.answer())
    seen = both.gateway.ask("", "POST", f"{one.gateway_target()}?key={both.secret}", one.request_body)
    if seen.status == 200:
        assert both.secret not in both.provider.log[0].target
    else:
        assert (seen.status, both.provider.log) == (401, [])
    both.gateway.new_rows(len(both.provider.log))


def test_every_recorded_answer(both: Sides, shared: Callable[..., Path]) -> None:
    assert both.compare_all(_askable(recorded(shared, "gemini"))) > 150


def _askable(exchanges: Iterator[Recorded]) -> Iterator[tuple[Callable[[Side], Any], Recorded]]:
    for one in exchanges:
        model, _, verb = one.target.partition("?")[0].rpartition("/")[2].partition(":")
        if verb not in ("generateContent", "streamGenerateContent") or not one.target.startswith(
            "/v1beta/models/"
        ):
            continue
        if one.is_stream == (verb == "streamGenerateContent") and b"<elided" not in one.body:
            yield _whatever(one, model), one


def _whatever(one: Recorded, model: str) -> Callable[[Side], Any]:
    def call(side: Side) -> Any:
        models = kept(side).models
        try:
            if one.is_stream:
                return [values(part) for part in models.generate_content_stream(model=model, contents="?")]
            return values(models.generate_content(model=model, contents="?"))
        except errors.APIError as error:
            return error.code, error.message

    return call
