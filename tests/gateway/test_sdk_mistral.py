"""Mistral's own SDK works through the gateway as it does without, and each answer is booked at its cost."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.rig_recorded import own
from tests.gateway.rig_sdk import Side, Sides, sides

mistralai = pytest.importorskip("mistralai", reason="needs the SDK `mistralai` (dependency group test)")
client_module = pytest.importorskip("mistralai.client")

pytestmark = pytest.mark.filterwarnings("ignore")  # what the SDK warns of is its own affair

HOST = "api.mistral.ai"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with sides(tmp_path_factory.mktemp("mistral"), HOST) as opened:
        yield opened


def client_of(side: Side) -> Any:
    return client_module.Mistral(api_key=side.key, server_url=side.root)


def asked(name: str) -> dict[str, Any]:
    return {key: value for key, value in own(name).asked.items() if key != "stream"}


def test_an_answer(both: Sides) -> None:
    def call(side: Side) -> Any:
        with client_of(side) as client:
            return client.chat.complete(**asked("mistral-chat")).model_dump()

    assert both.compare(call, own("mistral-chat"))["id"] == "own-m1"


def test_a_stream(both: Sides) -> None:
    def call(side: Side) -> Any:
        with client_of(side) as client, client.chat.stream(**asked("mistral-chat-stream")) as stream:
            return [event.model_dump() for event in stream]

    assert len(both.compare(call, own("mistral-chat-stream"))) == 3


def test_an_answer_asynchronously(both: Sides) -> None:
    async def call(side: Side) -> Any:
        async with client_of(side) as client:
            return (await client.chat.complete_async(**asked("mistral-chat"))).model_dump()

    both.compare_async(call, own("mistral-chat"))


def test_a_stream_asynchronously(both: Sides) -> None:
    async def call(side: Side) -> Any:
        async with client_of(side) as client:
            stream = await client.chat.stream_async(**asked("mistral-chat-stream"))
            return [event.model_dump() async for event in stream]

    both.compare_async(call, own("mistral-chat-stream"))


def test_embeddings(both: Sides) -> None:
    def call(side: Side) -> Any:
        with client_of(side) as client:
            return client.embeddings.create(model="mistral-embed", inputs=["spider"]).model_dump()

    both.compare(call, own("mistral-embeddings"))
