"""watsonx, Aleph Alpha and SageMaker: counts where their answers keep them."""

import json

from flatfare.core.usage import Usage
from flatfare.dialects.meter import Stream, read_whole
from flatfare.dialects.reading import Reading
from flatfare.dialects.recognition import Recognised, by_address

WATSONX = "us-south.ml.cloud.ibm.com"


def at(host: str, path: str) -> Recognised:
    recognised = by_address(host, path)
    assert recognised is not None
    return recognised


def read(body: object, host: str, path: str, request: bytes = b"") -> Reading:
    recognised = at(host, path)
    return read_whole(recognised.route, json.dumps(body).encode(), recognised.exchange(request, path))


def test_results_are_summed():
    result = {"generated_text": "x", "generated_token_count": 11, "input_token_count": 8}
    reading = read(
        {"model_id": "google/flan-ul2", "results": [result, result]}, WATSONX, "/ml/v1/text/generation"
    )
    assert reading.parts[0].usage == Usage(input=16, output=22)
    assert reading.model == "google/flan-ul2"
    assert reading.parts[0].conditions.region == "us-south"


def test_a_stream_counts_its_prompt_once_and_its_answer_cumulatively():
    events = [
        {
            "model_id": "google/flan-ul2",
            "results": [{"generated_token_count": n, "input_token_count": 8 if n == 0 else 0}],
        }
        for n in (0, 1, 2, 11)
    ]
    body = b"".join(
        b"id: 1\nevent: message\ndata: " + json.dumps(event).encode() + b"\n\n" for event in events
    )
    recognised = at(WATSONX, "/ml/v1-beta/generation/text_stream")
    for cut in (1, 10, 10_000):
        stream = Stream(recognised.route, recognised.exchange())
        for start in range(0, len(body), cut):
            stream.feed(body[start : start + cut])
        assert stream.finish().parts[0].usage == Usage(input=8, output=11)


def test_chat_counts_as_openai_does():
    body = {"model_id": "ibm/granite", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}
    reading = read(body, WATSONX, "/ml/v1/text/chat")
    assert reading.parts[0].usage == Usage(input=9, output=4)
    assert reading.model == "ibm/granite"


def test_embeddings_count_their_prompt():
    reading = read(
        {"model_id": "ibm/slate", "results": [{}], "input_token_count": 10}, WATSONX, "/ml/v1/text/embeddings"
    )
    assert reading.parts[0].usage == Usage(input=10)


def test_without_counts_the_cost_is_unknown():
    reading = read({"model_id": "ibm/granite"}, WATSONX, "/ml/v1/text/chat")
    assert reading.parts == ()
    assert not reading.is_free


def test_aleph_alpha_names_its_model_in_the_request_alone():
    body = {
        "completions": [],
        "model_version": "2022-04",
        "num_tokens_prompt_total": 9,
        "num_tokens_generated": 1000,
    }
    reading = read(
        body, "api.aleph-alpha.com", "/complete", b'{"model": "luminous-base", "maximum_tokens": 1000}'
    )
    assert reading.parts[0].usage == Usage(input=9, output=1000)
    assert reading.model == "luminous-base"


def test_an_endpoint_of_sagemaker_is_billed_by_the_hour():
    host = "runtime.sagemaker.us-east-1.amazonaws.com"
    silent = read([{"generated_text": "x"}], host, "/endpoints/my-llama/invocations")
    assert silent.is_free
    assert "by the hour" in str(silent.reason)
    counted = read(
        {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}},
        host,
        "/endpoints/my-llama/invocations",
    )
    assert counted.parts[0].usage == Usage(input=5, output=6)
    assert "by the hour" in str(counted.reason)
