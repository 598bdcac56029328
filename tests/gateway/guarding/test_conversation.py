"""What a request says of the conversation it carries, in each provider's words."""

import json

import pytest

from flatfare.gateway.guarding.conversation import marks_of, steps_of

CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def chat(*turns: object) -> bytes:
    return json.dumps({"model": "gpt-4o", "messages": list(turns)}).encode()


ASKED = {"role": "user", "content": "How many legs?"}
USED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "none"}

CASES = {
    "openai chat": (chat({"role": "system", "content": "s"}, ASKED, USED, RESULT, USED, RESULT), 2),
    "a person spoke": (chat(ASKED, USED, RESULT, {"role": "assistant", "content": "4"}, ASKED), 0),
    "two tools at once": (chat(ASKED, USED, RESULT, RESULT), 1),
    "anthropic": (
        chat(
            ASKED,
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "none"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t2", "name": "look", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t2", "content": "none"}]},
        ),
        2,
    ),
    "a person who quotes a result": (chat(USED, {"role": "user", "content": 'the "tool_result" was bad'}), 0),
    "gemini": (
        json.dumps(
            {
                "contents": [
                    {"role": "user", "parts": [{"text": "How many legs?"}]},
                    {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]},
                    {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {}}}]},
                ]
            }
        ).encode(),
        1,
    ),
    "responses": (
        json.dumps(
            {
                "input": [
                    {"role": "user", "content": "How many legs?"},
                    {"type": "reasoning", "summary": []},
                    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "c1", "output": "none"},
                    {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "c2", "output": "none"},
                ]
            }
        ).encode(),
        2,
    ),
    "bedrock": (
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": [{"text": "How many legs?"}]},
                    {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "look"}}]},
                    {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": []}}]},
                ]
            }
        ).encode(),
        1,
    ),
    "a text alone": (b'{"input": "How many legs?"}', 0),
    "no JSON": (b"\xff{", 0),
    "other JSON": (b'{"messages": [1, 2]}', 0),
}


@pytest.mark.parametrize("name", CASES)
def test_steps_are_counted_from_the_last_word_of_a_person(name: str) -> None:
    body, steps = CASES[name]
    assert steps_of(body) == steps


def test_the_same_request_has_the_same_mark_and_another_has_another() -> None:
    one, other = marks_of(b"/v1/x?a=1", chat(ASKED)), marks_of(b"/v1/x?a=2", chat(ASKED))
    assert one == other
    assert marks_of(b"/v1/y", chat(ASKED)) != one
    assert marks_of(b"/v1/x", chat(ASKED, ASKED)) != one


def test_a_step_is_told_again_whatever_its_ids_and_what_went_before() -> None:
    again = {**USED, "tool_calls": [{**CALL, "id": "call_2"}]}
    first = marks_of(b"/", chat(ASKED, USED, RESULT))
    second = marks_of(b"/", chat(ASKED, USED, RESULT, again, {**RESULT, "tool_call_id": "call_2"}))
    other = marks_of(b"/", chat(ASKED, USED, {**RESULT, "content": "four"}))
    assert first[0] != second[0]
    assert first[1] == second[1]
    assert other[1] != first[1]
