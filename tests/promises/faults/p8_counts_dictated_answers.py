"""A judge's answer counts though it lacks the code of its question: the work may have dictated it."""

from flatfare.core.checks.submission import read_json
from flatfare.verifiers import asked

CAUGHT_BY = ("../verifiers/test_model_judge.py::test_a_judge_that_obeys_the_work_does_not_pass_it",)


def _answered(reply, marks):
    return read_json(reply.text[reply.text.find("{") : reply.text.rfind("}") + 1])


asked.answered = _answered
