"""What cannot work is refused before it is published, and what is unwise is said."""

from pathlib import Path

import pytest

from flatfare.config import Provider, Settings
from flatfare.runner.checking import check
from flatfare.service.actions.reading import read, read_file
from tests.runner.rig import EXAMPLES

TEXT = """\
action: greeting
description: Says hello.
input: {type: object, properties: {name: {type: string}}}
output:
  type: object
  required: [text]
  additionalProperties: false
  properties:
    text: {type: string}
    list: {type: array, items: {type: object, additionalProperties: false, properties: {a: {}}}}
steps: [{name: greet, prompt: Greet somebody.}]
ladder: [{model: openai/gpt-5-nano}]
verifiers:
  - VERIFIER
limits: {cost: "0.05"}
price: "0.10"
"""
SETTINGS = Settings(providers={"openai": Provider("openai", "http://127.0.0.1:9/v1", "openai")})


def problems(verifier: str, text: str = TEXT) -> tuple[str, ...]:
    return check(read(text.replace("VERIFIER", verifier)), SETTINGS, "a.yaml").problems


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_nothing_is_wrong_with_the_examples(file: Path) -> None:
    found = check(read_file(file), SETTINGS)
    assert (found.problems, found.warnings) == ((), ())


@pytest.mark.parametrize(
    ("verifier", "why"),
    [
        ("{kind: pattern, parameters: {at: /words, pattern: x}}", "the output never has 'words'"),
        ("{kind: pattern, parameters: {at: /list/0/b, pattern: x}}", "the output never has 'b'"),
        ("{kind: exact-match}", "it compares with what was expected, and nothing says what that is"),
        ("SCHEMA false", "its schema accepts nothing"),
        ("SCHEMA {enum: []}", "its schema lists no value"),
        (
            "SCHEMA {minLength: 5, maxLength: 2}",
            "minLength 5 is more than",
        ),
        (
            "SCHEMA {required: [x], properties: {x: {minimum: 2, maximum: 1}}}",
            "of 'x', minimum 2 is more than maximum 1",
        ),
        (
            "SCHEMA {required: [x], additionalProperties: false}",
            "'x' is required and not allowed",
        ),
        (
            "SCHEMA {type: array}",
            "it wants array, and the output schema object",
        ),
        (
            "SCHEMA {required: [x]}",
            "it requires 'x', which the output schema",
        ),
    ],
)
def test_a_verifier_that_can_never_pass_is_refused_with_its_line(verifier: str, why: str) -> None:
    if verifier.startswith("SCHEMA "):
        schema = verifier.removeprefix("SCHEMA ")
        verifier = f"{{kind: json-schema, parameters: {{schema: {schema}}}}}"
    found = problems(verifier)
    assert len(found) == 1, found
    assert found[0].startswith("a.yaml:14: The verifier ")
    assert why in found[0]


def test_quotations_need_a_text_to_stand_in() -> None:
    text = TEXT.replace("{name: {type: string}}", "{name: {type: integer}}")
    assert "no text in the input" in problems("{kind: quoted-spans}", text)[0]


@pytest.mark.parametrize(
    ("verifier", "said"),
    [
        ("{kind: patern, parameters: {pattern: x}}", "Did you mean 'pattern'?"),
        ("{kind: pattern, parameters: {patern: x}}", "Did you mean 'pattern'?"),
        ("{kind: pattern, parameters: {pattern: '('}}", "cannot be used"),
    ],
)
def test_a_verifier_that_cannot_be_used_is_refused(verifier: str, said: str) -> None:
    assert said in problems(verifier)[0]


def test_a_provider_that_is_not_served_is_refused() -> None:
    text = TEXT.replace("openai/gpt", "opeanai/gpt")
    assert "the gateway serves openai" in problems("{kind: pattern, parameters: {pattern: x}}", text)[0]


def test_a_price_below_any_possible_cost_is_warned_of() -> None:
    text = TEXT.replace("VERIFIER", "{kind: pattern, parameters: {pattern: x}}").replace(
        '"0.10"', '"0.0000001"'
    )
    assert any("below any possible cost" in said for said in check(read(text), SETTINGS).warnings)
