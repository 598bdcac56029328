"""Cohere's own SDK works through the gateway as it does without, and each answer is booked at its cost."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.rig_recorded import own
from tests.gateway.rig_sdk import Side, Sides, sides

cohere = pytest.importorskip("cohere", reason="needs the SDK `cohere` (dependency group test)")

pytestmark = pytest.mark.filterwarnings("ignore")  # what the SDK warns of is its own affair

HOST = "api.cohere.com"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with sides(tmp_path_factory.mktemp("cohere"), HOST) as opened:
        yield opened


def client_of(side: Side) -> Any:
    return cohere.ClientV2(api_key=side.key, base_url=side.root, timeout=10)


def asynchronous(side: Side) -> Any:
    return cohere.AsyncClientV2(api_key=side.key, base_url=side.root, timeout=10)


def asked(name: str) -> dict[str, Any]:
    return {key: value for key, value in own(name).asked.items() if key != "stream"}


def test_an_answer(both: Sides) -> None:
    def call(side: Side) -> Any:
        return client_of(side).chat(**asked("cohere-chat")).model_dump()

    assert both.compare(call, own("cohere-chat"))["id"] == "own-c1"


def test_a_stream(both: Sides) -> None:
    def call(side: Side) -> Any:
        return [event.model_dump() for event in client_of(side).chat_stream(**asked("cohere-chat-stream"))]

    assert len(both.compare(call, own("cohere-chat-stream"))) == 5


def test_an_answer_asynchronously(both: Sides) -> None:
    async def call(side: Side) -> Any:
        async with asynchronous(side) as client:
            return (await client.chat(**asked("cohere-chat"))).model_dump()

    both.compare_async(call, own("cohere-chat"))


def test_a_stream_asynchronously(both: Sides) -> None:
    async def call(side: Side) -> Any:
        async with asynchronous(side) as client:
            return [event.model_dump() async for event in client.chat_stream(**asked("cohere-chat-stream"))]

    both.compare_async(call, own("cohere-chat-stream"))


def test_embeddings(both: Sides) -> None:
    def call(side: Side) -> Any:
        return client_of(side).embed(**asked("cohere-embed")).model_dump()

    both.compare(call, own("cohere-embed"))


def test_an_error_is_raised_as_without_us(both: Sides) -> None:
    def call(side: Side) -> Any:
        options = {"max_retries": 0}
        with pytest.raises(cohere.errors.TooManyRequestsError) as raised:
            client_of(side).chat(**asked("cohere-error-429"), request_options=options)
        return raised.value.status_code, raised.value.body

    both.compare(call, own("cohere-error-429"))
