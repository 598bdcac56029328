"""Questions and answers have the shape that the providers' own SDKs know."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from flatfare.config import Provider
from flatfare.core.checks import pairs, rubric
from flatfare.core.checks.question import Marks, Question, material
from flatfare.service.judging.asking_shapes import SHAPES
from tests.verifiers.judges import chat, message

MARKS = Marks("0123456789abcdef", "89abcdef")
OPENAI = Provider("openai", "https://api.openai.com/v1", "openai")
LOCAL = Provider("local", "http://127.0.0.1:8000/v1", "openai")
AZURE = Provider("eu", "https://firm.openai.azure.com/openai/v1", "azure")


def question(**more: Any) -> Question:
    instructions, text, schema = rubric.asked(["It is done."], material(work="Done."), MARKS)
    return Question("openai", "gpt-5", instructions, text, schema, **more)


def checked(kind: object, body: Mapping[str, Any]) -> None:
    """The body is one of this type of an SDK, with no key that it does not know."""
    pydantic = pytest.importorskip("pydantic", reason="needs the providers' SDKs")
    pydantic.TypeAdapter(kind).validate_python(body, strict=False)
    known = set(getattr(kind, "__annotations__", {}))
    for base in getattr(kind, "__orig_bases__", ()):
        known |= set(getattr(base, "__annotations__", {}))
    assert set(body) <= known, set(body) - known


@pytest.mark.parametrize("temperature", [None, "0.7"])
@pytest.mark.parametrize("with_schema", [True, False])
def test_a_chat_completion_is_asked_for_as_openai_knows_it(
    temperature: str | None, with_schema: bool
) -> None:
    params = pytest.importorskip("openai.types.chat.completion_create_params")
    body = SHAPES["chat.completions"].request(question(temperature=temperature), OPENAI, with_schema)
    checked(params.CompletionCreateParamsNonStreaming, body)
    assert ("response_format" in body) is with_schema


@pytest.mark.parametrize("with_schema", [True, False])
def test_a_message_is_asked_for_as_anthropic_knows_it(with_schema: bool) -> None:
    params = pytest.importorskip("anthropic.types.message_create_params")
    body = SHAPES["messages"].request(question(), OPENAI, with_schema)
    checked(params.MessageCreateParamsNonStreaming, body)
    assert ("output_config" in body) is with_schema


def test_the_answers_of_the_tests_are_those_of_the_providers() -> None:
    completions = pytest.importorskip("openai.types.chat")
    messages = pytest.importorskip("anthropic.types")
    completions.ChatCompletion.model_validate_json(chat("{}"))
    for said in ("{}", {"code": "x"}):
        messages.Message.model_validate_json(message(said))


@pytest.mark.parametrize(
    ("provider", "limit"),
    [(OPENAI, "max_completion_tokens"), (AZURE, "max_completion_tokens"), (LOCAL, "max_tokens")],
)
def test_the_limit_is_called_as_the_server_knows_it(provider: Provider, limit: str) -> None:
    body = SHAPES["chat.completions"].request(question(), provider, True)
    assert body[limit] == question().tokens_max
    assert len({"max_tokens", "max_completion_tokens"} & set(body)) == 1


def test_every_schema_is_one_that_openai_takes_as_strict() -> None:
    """Each object names all its members as required and allows no others."""
    shown = material(first_work="a", second_work="b")
    schemas = [
        rubric.asked(["x"], shown, MARKS)[2],
        pairs.asked_which(["x"], shown, MARKS)[2],
        pairs.asked_alike(shown, MARKS)[2],
    ]

    def check(schema: Mapping[str, Any]) -> None:
        if schema.get("type") == "object":
            assert schema["required"] == list(schema["properties"])
            assert schema["additionalProperties"] is False
            for member in schema["properties"].values():
                check(member)
        elif schema.get("type") == "array":
            check(schema["items"])

    for schema in schemas:
        check(json.loads(json.dumps(schema)))
