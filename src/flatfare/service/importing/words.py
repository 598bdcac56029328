"""The words by which exports say that something was done, who called, and how a call ended.

A word that is not known is never guessed: the row is rejected, naming it and saying
how to map it.
"""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

Words = tuple[object, ...]
"""What is read from one text: the value, more values, and a problem or None."""

_VERIFIED = (
    "verified pass passed success succeeded successful resolved solved correct true yes y done "
    "complete completed "
    "accepted accept approved satisfied satisfactory compliant good win won ok fixed 1 t valid right "
    "positive up "
    "resolved_full full_resolution"
)
_FAILED = (
    "failed fail failure error errored unresolved unsolved incorrect false no n incomplete rejected "
    "reject declined "
    "unsatisfied unsatisfactory noncompliant non_compliant bad loss lost timeout timed_out crashed 0 f "
    "invalid wrong "
    "negative down not_resolved not_solved partial partially_satisfied partially_resolved partially_correct "
    "cancelled canceled aborted abandoned empty_patch empty_generation reversed refunded reopened"
)
_ASSUMED = "assumed assumed_resolution presumed closed_in_silence"
_OPEN = (
    "open pending in_progress running queued unknown not_run skipped abstain abstained undetermined "
    "unverified not_evaluated unsure not_sure uncertain undecided inconclusive ambiguous cannot_say "
    "cannot_tell n/a na"
)

OUTCOMES = {
    **dict.fromkeys(_VERIFIED.split(), "verified"),
    **dict.fromkeys(_FAILED.split(), "failed"),
    **dict.fromkeys(_ASSUMED.split(), "assumed"),
    **dict.fromkeys(_OPEN.split(), "open"),
}
_PURPOSES = {
    **dict.fromkeys(
        [
            "work",
            "assistant",
            "agent",
            "ai",
            "model",
            "bot",
            "llm",
            "system",
            "planner",
            "executor",
            "worker",
            "generation",
        ],
        "work",
    ),
    **dict.fromkeys(
        ["simulation", "user", "simulator", "user_simulator", "customer_simulator", "human_simulator"],
        "simulation",
    ),
    **dict.fromkeys(
        ["verification", "verifier", "judge", "grader", "evaluator", "evaluation", "critic_judge", "eval"],
        "verification",
    ),
    **dict.fromkeys(["test", "testing", "smoke_test", "synthetic_test"], "test"),
}
_STATUSES = {
    **dict.fromkeys(
        [
            "ok",
            "success",
            "succeeded",
            "successful",
            "true",
            "completed",
            "complete",
            "stop",
            "done",
            "finished",
            "1",
            "yes",
        ],
        "ok",
    ),
    **dict.fromkeys(
        [
            "failed",
            "fail",
            "failure",
            "error",
            "errored",
            "false",
            "timeout",
            "timed_out",
            "exception",
            "0",
            "no",
            "incomplete",
        ],
        "failed",
    ),
    **dict.fromkeys(["cancelled", "canceled", "aborted"], "cancelled"),
    **dict.fromkeys(["refused", "blocked", "rate_limited", "throttled", "rejected", "denied"], "refused"),
    **dict.fromkeys(["cached", "cache_hit"], "cached"),
}


def read_outcome(text: str, pass_at: Decimal | None) -> Words:
    """(outcome, problem) of a word, a boolean or a score; a score passes from ``pass_at``, else at 1.

    >>> read_outcome("Partially satisfied", None), read_outcome("0.4", None)
    (('failed', None), ('failed', None))
    """
    number = _number(text)
    if number is not None and (pass_at is not None or number not in (0, 1)):
        if pass_at is None and number > 1:
            return (
                None,
                (
                    f"Found the score {text[:60]!r} as an outcome: say from where it is a pass, --pass-at "
                    "NUMBER."
                ),
            )
        return ("verified" if number >= (1 if pass_at is None else pass_at) else "failed"), None
    found = OUTCOMES.get(_word(text)) if number is None else OUTCOMES[str(int(number))]
    if found is None:
        return (
            None,
            (
                f"Found the outcome {text[:60]!r}, which is not known: --value outcome:{text[:60]}=verified "
                "(or failed, open) says what it means."
            ),
        )
    return found, None


def read_judgement(text: str, pass_at: Decimal | None) -> Words:
    """(judgement, problem) of a verdict's word: pass, fail or abstain."""
    outcome, problem = read_outcome(text, pass_at)
    if problem:
        said = (
            str(problem).replace("the outcome", "the result").replace("--value outcome:", "--value result:")
        )
        return None, said.replace("=verified (or failed, open)", "=pass (or fail, abstain)")
    return {"verified": "pass", "failed": "fail"}.get(str(outcome), "abstain"), None


def read_purpose(text: str) -> Words:
    """(purpose, problem) of a word for why a call was made."""
    found = _PURPOSES.get(_word(text))
    if found is None:
        return (
            None,
            (
                f"Found the purpose {text[:60]!r}: it is work, verification, simulation or test; --value "
                f"purpose:{text[:60]}=work says which."
            ),
        )
    return found, None


def read_role(text: str) -> Words:
    """(purpose, no problem): a role that is not known worked."""
    return _PURPOSES.get(_word(text), "work"), None


def read_status(text: str) -> Words:
    """(status, problem) of a word or an HTTP status for how a call ended."""
    if text.isdigit() and len(text) == 3:
        return ("ok" if text.startswith("2") else "failed"), None
    found = _STATUSES.get(_word(text))
    if found is None:
        return (
            None,
            (
                f"Found the status {text[:60]!r}: it is ok, failed, cancelled, refused or cached; --value "
                f"status:{text[:60]}=ok says which."
            ),
        )
    return found, None


def read_flag(text: str) -> Words:
    """(true or false, no problem) of a yes or no; anything else is neither."""
    return {
        "true": True,
        "1": True,
        "yes": True,
        "t": True,
        "false": False,
        "0": False,
        "no": False,
        "f": False,
    }.get(text.lower()), None


_VERIFIER_KINDS = {
    **dict.fromkeys(
        ["code", "test", "tests", "unit_test", "script", "rule", "heuristic", "automated"], "code"
    ),
    **dict.fromkeys(["model", "llm", "llm_judge", "llm_as_judge", "llm_as_a_judge", "ai"], "model"),
    **dict.fromkeys(["human", "person", "annotator", "expert", "reviewer", "manual"], "human"),
    **dict.fromkeys(["customer", "user", "end_user"], "customer"),
    "signal": "signal",
}


def read_kind(text: str) -> Words:
    """(kind, problem) of a verifier's kind."""
    found = _VERIFIER_KINDS.get(_word(text))
    if found is None:
        return None, f"Found the verifier kind {text[:60]!r}: it is code, model, human, customer or signal."
    return found, None


_DID = "true t yes y 1 x reopened escalated handed_off transferred human agent"
_DID_NOT = "false f no n 0 never none bot ai automated not_reopened not_escalated"
_HAPPENED = {**dict.fromkeys(_DID.split(), "true"), **dict.fromkeys(_DID_NOT.split(), "false")}


def read_happened(text: str) -> Words:
    """("true" or "false", problem) of a yes or no, or of how often it happened."""
    number = _number(text)
    if number is not None:
        return ("true" if number > 0 else "false"), None
    found = _HAPPENED.get(_word(text))
    if found is None:
        return None, f"Found {text[:60]!r} where a yes or no, or a count, was expected."
    return found, None


_BY_MODEL = "judge|model|llm|gpt|claude|gemini"
_BY_PERSON = "human|person|reviewer|rater|annotator"


def kind_told(name: str) -> str:
    """The kind of verifier that its name tells, in SQL: a judge or a model, a person, else code."""
    return (
        f"CASE WHEN regexp_matches(lower({name}), '{_BY_PERSON}') THEN 'human' "
        f"WHEN regexp_matches(lower({name}), '{_BY_MODEL}') THEN 'model' ELSE 'code' END"
    )


def _word(text: str) -> str:
    return text.strip().lower().replace(" ", "_").replace("-", "_").rstrip("!.")


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def reader_of(name: str, pass_at: Decimal | None) -> Callable[[str], Words]:
    """Who reads the words of a field."""
    if name == "outcome":
        return lambda text: read_outcome(text, pass_at)
    if name == "result":
        return lambda text: read_judgement(text, pass_at)
    return {
        "purpose": read_purpose,
        "role": read_role,
        "status": read_status,
        "kind": read_kind,
        "verifier_kind": read_kind,
        "reopened": read_happened,
        "handed_off": read_happened,
    }[name]
