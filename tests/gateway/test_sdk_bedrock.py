"""AWS's own SDK works through the gateway as it does without, and each answer is booked at its cost."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.gateway.rig_recorded import Recorded, own, recorded
from tests.gateway.rig_sdk import Side, Sides, sides

boto3 = pytest.importorskip("boto3", reason="needs the SDK `boto3` (dependency group test)")
botocore_config = pytest.importorskip("botocore.config")
botocore_exceptions = pytest.importorskip("botocore.exceptions")

pytestmark = pytest.mark.filterwarnings("ignore")  # what the SDK warns of is its own affair

HOST = "bedrock-runtime.us-east-1.amazonaws.com"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with sides(tmp_path_factory.mktemp("bedrock"), HOST) as opened:
        yield opened


@pytest.fixture(autouse=True)
def away_from_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials or settings of this machine play a part."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@cache
def client_of(side: Side) -> Any:
    """A client with the key as the id of its access key: the SDK sends no bearer token without TLS."""
    session = boto3.Session(aws_access_key_id=side.key, aws_secret_access_key="-", region_name="us-east-1")
    config = botocore_config.Config(retries={"total_max_attempts": 1})
    return session.client("bedrock-runtime", endpoint_url=side.root, config=config)


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    """What was answered, without what the SDK notes of its connection."""
    metadata = answer.get("ResponseMetadata", {})
    rest = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    return {**rest, "id": metadata.get("RequestId"), "status": metadata.get("HTTPStatusCode")}


def converse(side: Side, model: str, **asked: Any) -> Any:
    return plain(client_of(side).converse(modelId=model, **asked))


def converse_stream(side: Side, model: str, **asked: Any) -> Any:
    answer = client_of(side).converse_stream(modelId=model, **asked)
    events = list(answer["stream"])
    return events, answer["ResponseMetadata"]["HTTPStatusCode"]


def invoke(side: Side, model: str, body: bytes) -> Any:
    answer = client_of(side).invoke_model(modelId=model, body=body, contentType="application/json")
    return {**plain(answer), "body": answer["body"].read()}


def invoke_stream(side: Side, model: str, body: bytes) -> Any:
    answer = client_of(side).invoke_model_with_response_stream(modelId=model, body=body)
    return list(answer["body"])


def model_of(one: Recorded) -> str:
    return unquote(one.target.split("/")[2])


def test_converse(both: Sides) -> None:
    one = own("bedrock-converse")
    got = both.compare(lambda side: converse(side, model_of(one), **one.asked), one)
    assert got["usage"]["cacheReadInputTokens"] == 1024


def test_converse_stream(both: Sides) -> None:
    one = own("bedrock-converse-stream")
    events, _ = both.compare(lambda side: converse_stream(side, model_of(one), **one.asked), one)
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 57


def test_invoke_model(both: Sides) -> None:
    one = own("bedrock-invoke")
    assert both.compare(lambda side: invoke(side, model_of(one), one.request_body), one)["body"] == one.body


def test_invoke_model_with_response_stream(both: Sides) -> None:
    one = own("bedrock-invoke-stream")
    assert len(both.compare(lambda side: invoke_stream(side, model_of(one), one.request_body), one)) == 4


def test_an_error_is_raised_as_without_us(both: Sides) -> None:
    one = own("bedrock-error-400")

    def call(side: Side) -> Any:
        with pytest.raises(botocore_exceptions.ClientError) as raised:
            converse(side, model_of(one), messages=[])
        return type(raised.value).__name__, plain(raised.value.response)

    assert both.compare(call, one)[0] == "ValidationException"


def test_every_recorded_answer(both: Sides, shared: Callable[..., Path]) -> None:
    ours = [(_whatever(one), one) for one in recorded(shared, "bedrock")]
    assert both.compare_all((call, one) for call, one in ours if call is not None) > 150


def _whatever(one: Recorded) -> Callable[[Side], Any] | None:
    """Asks at the same address; what is asked does not matter to a provider that replays."""
    verb, model = one.target.rpartition("/")[2], model_of(one)

    def call(side: Side) -> Any:
        try:
            if verb == "converse":
                return converse(side, model)
            if verb == "converse-stream":
                return converse_stream(side, model)
            if verb == "invoke":
                return invoke(side, model, one.request_body)
            return invoke_stream(side, model, one.request_body)
        except botocore_exceptions.ClientError as error:
            return type(error).__name__, plain(error.response)

    return call if verb in ("converse", "converse-stream", "invoke", "invoke-with-response-stream") else None
