"""An action file is read whole, and everything wrong with it is said at once, with its line."""

from decimal import Decimal
from pathlib import Path

import pytest

from flatfare.core.action import Answer, Ending, Reading, climbed
from flatfare.core.outcome import Judgement
from flatfare.core.path import Rung as Model
from flatfare.service.actions.lines import BadAction
from flatfare.service.actions.reading import read, read_file

EXAMPLES = Path(__file__).parent.parent.parent.parent / "examples" / "actions"

GOOD = """\
action: greeting
description: Says hello.
input: {type: object, required: [name], properties: {name: {type: string}}}
output: {type: object, required: [text], properties: {text: {type: string}}}
steps:
  - name: greet
    prompt: |
      Greet
      {{ input.name }}.
ladder:
  - {name: low, model: openai/gpt-5-nano, effort: low, output_tokens: 100}
  - {name: high, model: anthropic/claude-sonnet-4-5, tries: 2}
verifiers:
  - {kind: content-rules, parameters: {at: /text, contains: [hello]}}
price: "0.10"
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(BadAction) as caught:
        read(text, "a.yaml")
    return list(caught.value.problems)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_is_an_action_of_its_own_name(file: Path) -> None:
    assert read_file(file).name == file.stem


def test_people_s_word_may_have_to_come_from_the_review_queue() -> None:
    people = "verifiers:\n  - {name: lawyer, awaits: human, from: reviews}"
    action = read(GOOD.replace("verifiers:", people))
    assert action.definition.reviewed == {"lawyer"}
    assert read(GOOD).definition.reviewed == frozenset()
    for wrong in ("awaits: customer, from: reviews", "awaits: human, from: anywhere"):
        text = GOOD.replace("verifiers:", f"verifiers:\n  - {{name: lawyer, {wrong}}}")
        assert any("{awaits: human, from: reviews}" in problem for problem in problems_of(text))


def test_the_whole_of_a_small_action() -> None:
    action = read(GOOD)
    assert (action.name, action.version, action.price.per_verified_nano) == ("greeting", 1, 100_000_000)
    low, high = action.ladder
    assert (low.model, low.output_tokens, low.answer) == (
        Model("gpt-5-nano", "openai", "low"),
        100,
        Answer.TOOL,
    )
    assert (high.name, high.tries) == ("high", 2)
    assert action.definition.required == {"content-rules": Decimal(1)}
    assert action.path.name == "openai/gpt-5-nano@low > anthropic/claude-sonnet-4-5"


def test_the_definition_is_what_the_file_says_of_outcomes() -> None:
    more = "window: 72h\nreopening: kept\nsignals: {csat: {below: 3, says: fail}}\nrework_rate: '60'\n"
    definition = read(GOOD + more).definition
    assert definition.window_us == 72 * 3_600_000_000
    assert definition.reopening == "kept"
    assert definition.signal_says("csat", "2") is Judgement.FAIL
    assert definition.rework_rate_nano == 60 * 10**9


def test_without_verifiers_the_output_schema_is_the_proof() -> None:
    text = GOOD.replace(GOOD[GOOD.index("verifiers") : GOOD.index("price")], "")
    assert list(read(text).definition.required) == ["output-schema"]


def test_a_failed_attempt_climbs_and_each_rung_is_tried_as_often_as_it_says() -> None:
    ladder = read(GOOD).ladder
    assert climbed(ladder, 0, 1, Ending.FAILED) == 1
    assert climbed(ladder, 1, 1, Ending.TIMEOUT) == 1
    assert climbed(ladder, 1, 2, Ending.TIMEOUT) is None
    assert climbed(ladder, 0, 1, Ending.LIMITED) is None


def test_a_rung_may_say_where_an_ending_leads() -> None:
    low = "output_tokens: 100, tries: 3, climb: {refused: high, error: same, malformed: stop}"
    ladder = read(GOOD.replace("output_tokens: 100", low)).ladder
    assert climbed(ladder, 0, 1, Ending.REFUSED) == 1
    assert climbed(ladder, 0, 1, Ending.ERROR) == 0
    assert climbed(ladder, 0, 3, Ending.ERROR) == 1
    assert climbed(ladder, 0, 1, Ending.MALFORMED) is None


def test_files_that_an_action_names_go_with_it() -> None:
    action = read_file(EXAMPLES / "word-count.yaml")
    assert action.bundle["count_words.py"].startswith(b'"""Counts words')
    assert set(action.bundle) == {"count_words.py", "checks/words/counted_again.py"}
    assert read_file(EXAMPLES / "report-summary.yaml").files == {"report": Reading.PDF}


@pytest.mark.parametrize(
    ("former", "new", "problem"),
    [
        (
            "action: greeting",
            "action: Greeting!",
            "a.yaml:1: Found 'Greeting!' as 'action': expected lower-case",
        ),
        ("description: Says hello.", "", "a.yaml:1: 'description' is missing: expected text."),
        ("price:", "prize:", "a.yaml:15: Found 'prize': expected one of action,"),
        (
            "openai/gpt-5-nano",
            "gpt-5-nano",
            "a.yaml:11: Found 'gpt-5-nano' as 'model': expected a provider and",
        ),
        ("effort: low", "effort: lots", "a.yaml:11: Found 'lots' as 'effort'"),
        ("{{ input.name }}", "{{ input.nmae }}", "a.yaml:9: Found input.nmae: input holds name."),
        (
            "{{ input.name }}",
            "{{ user.name }}",
            "a.yaml:9: Found 'user': a prompt is given input, steps, today.",
        ),
        (
            "{{ input.name }}",
            "{{ input.name.__class__ }}",
            "a.yaml:9: Found '__class__': a prompt reaches data only",
        ),
        ("{{ input.name }}", "{{ input.name.upper() }}", "a.yaml:9: A prompt may not use calls"),
        ("{{ input.name }}", "{% include '/etc/passwd' %}", "a.yaml:9: A prompt may not use other files"),
        ("{{ input.name }}", "{{ input.name", "a.yaml:9: This is no template: "),
        ("kind: content-rules", "name: x", "a.yaml:14: 'kind' is missing"),
        ('"0.10"', '"€0.10 USD"', "a.yaml:15: price.per_verified: Found two currencies"),
        (
            '"0.10"',
            "{currency: EUR, per_verified: $1}",
            "a.yaml:15: price.per_verified: found an amount in USD",
        ),
        ("tries: 2", "tries: 0", "a.yaml:12: Found '0' as 'tries': expected a whole number from 1 to 100."),
        ("tries: 2", "climb: {failed: low}", "a.yaml:11: The ladder climbs in a circle: low → high → low."),
        (
            "tries: 2",
            "climb: {failed: top}",
            "a.yaml:12: Found the rung 'top': there are low, high, same, stop.",
        ),
        ("name: high", "name: low", "a.yaml:12: Two ladder are called 'low'"),
        (
            "type: object, required: [name]",
            "type: string",
            "a.yaml:3: 'input' is the JSON Schema of an object",
        ),
        ("price:", "limits: {cost: lots}\nprice:", "a.yaml:15: Found 'lots' where an amount of money"),
        ("price:", "window: soon\nprice:", "a.yaml:15: Found 'soon' where a length of time"),
        ("price:", "outcome: {verified_when: {quorum: 2}}\nprice:", "a.yaml:15: Found quorum 2: expected"),
        ("price:", "price: '1.00'\nprice:", "a.yaml:16: The key 'price' stands here twice."),
        ("price:", "files: {letter: pdf}\nprice:", "a.yaml:15: Found the file 'letter': it is no property"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(former: str, new: str, problem: str) -> None:
    assert former in GOOD
    found = problems_of(GOOD.replace(former, new, 1))
    assert any(one.startswith(problem) for one in found), found


def test_every_problem_is_said_at_once() -> None:
    assert len(problems_of(GOOD.replace("effort: low", "effort: lots").replace("tries: 2", "tries: x"))) == 2


@pytest.mark.parametrize("text", ["", "- a\n- b", "a: [1", "a: &x [1]\nb: *x\n" * 3, "action: 2026-11-21"])
def test_what_is_no_action_is_refused(text: str) -> None:
    assert problems_of(text)


def test_a_file_that_grows_out_of_aliases_is_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 7))
    assert "more than 50000 values" in problems_of(bomb)[0]


def test_a_file_outside_the_folder_is_not_taken_along(tmp_path: Path) -> None:
    text = (EXAMPLES / "word-count.yaml").read_text().replace("./count_words.py]", "../../secret]")
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(BadAction, match="cannot be taken along"):
        read_file(tmp_path / "a.yaml")
