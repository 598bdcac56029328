"""A prompt sees the task and nothing else."""

import pytest

from flatfare.core.errors import BadInput
from flatfare.service.actions import templates

GIVEN = {"input": {"name": "Ann", "tags": ["a", "b"], "n": 2}, "steps": {}}


def test_it_writes_what_it_is_given() -> None:
    text = "{% for tag in input.tags %}{{ loop.index }}{{ tag | upper }} {% endfor %}{{ input.tags | json }}"
    assert templates.render(text, GIVEN) == '1A 2B ["a", "b"]'


def test_a_choice_between_words() -> None:
    text = "{% if input.n > 1 and input.name is defined %}many{% else %}one{% endif %}"
    assert templates.render(text, GIVEN) == "many"


def test_what_a_customer_writes_is_never_a_template() -> None:
    assert templates.render("{{ input.name }}", {"input": {"name": "{{ steps }}"}}) == "{{ steps }}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ input['__class__'] }}",
        "{{ input.tags.append(1) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ self }}",
        "{{ lipsum() }}",
        "{{ input | attr('__class__') }}",
        "{{ input | map(attribute='__class__') }}",
        "{{ input | pprint }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 2 ** 99999999 }}",
        "{{ range(1000000000) }}",
        "{% import 'os' as os %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% include 'x' %}",
        "{% set x = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% for a in input %}{% for b in input %}{% for c in input %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ input.tags | sort(attribute='__class__') }}",
        "{{ input.tags | join(attribute='__class__') }}",
    ],
)
def test_a_template_that_reaches_outside_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        templates.render(text, GIVEN)


def test_what_is_not_there_is_not_written_as_nothing() -> None:
    with pytest.raises(BadInput, match="names what was not given"):
        templates.render("{{ input.other }}", GIVEN)


def test_a_template_cannot_write_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "CHARACTERS_MAX", 1000)
    with pytest.raises(BadInput, match="longer than 1000"):
        templates.render(
            "{% for a in input.l %}{% for b in input.l %}xx{% endfor %}{% endfor %}",
            {"input": {"l": [1] * 50}},
        )
