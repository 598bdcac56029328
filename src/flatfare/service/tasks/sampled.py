"""What a definition says of looking again: which share of its tasks somebody better judges, and who that is.

What people are asked can be asked: a share is one, and a link holds only what a task has.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from flatfare.core.currency import dollars
from flatfare.core.definition import Sampled
from flatfare.core.errors import BadInput
from flatfare.store.sampling import HUMAN

REVIEWERS_MAX = 9
PLACES = ("task", "external_id", "action")
_FIELD = re.compile(r"\{([^{}]*)\}")
_OF_PEOPLE = ("question", "reviewers", "rate", "link")
_FIELDS = ("share", "to", "as", "judge", "parameters", *_OF_PEOPLE)


def sampled_of(given: object, required: Mapping[str, Decimal]) -> Sampled | None:
    """What a definition's ``sampling`` says. ``BadInput`` names what was found and what was expected.

    Who must speak for a task to be verified looks at each of them, where no share is stated.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise BadInput(f"Found {given!r:.60} as sampling: expected a share and who looks again.")
    unknown = sorted(set(map(str, given)) - set(_FIELDS))
    if unknown:
        raise BadInput(f"Found {unknown[0]!r} in sampling: expected {', '.join(_FIELDS)}.")
    texts = {name: _text(name, given[name]) for name in ("to", "as", "judge") if given.get(name) is not None}
    sends_to = texts.get("to", HUMAN)
    verifier = texts.get("as", sends_to)
    if texts.get("judge") == verifier:
        raise BadInput(f"Found {verifier!r} as both judge and who looks again: it takes somebody better.")
    if given.get("share") is None and verifier not in required:
        raise BadInput("Found sampling without a share: say which, such as share: 5%.")
    share = share_of(str(given["share"])) if given.get("share") is not None else Decimal(1)
    terms = {name: given[name] for name in (*_OF_PEOPLE, "parameters") if given.get(name) is not None}
    check_terms(sends_to, terms)
    return Sampled(share, sends_to, verifier, texts.get("judge"), terms)


def document_of(sampled: Sampled) -> dict[str, object]:
    """The same as a document."""
    document: dict[str, object] = {"share": f"{sampled.share.normalize():f}", "to": sampled.sends_to}
    if sampled.verifier != sampled.sends_to:
        document["as"] = sampled.verifier
    if sampled.judge is not None:
        document["judge"] = sampled.judge
    return {**document, **sampled.terms}


def check_terms(sends_to: str, terms: Mapping[str, object]) -> None:
    """``BadInput`` where people, or a verifier, cannot be asked so: found now, not at the first task."""
    if sends_to != HUMAN:
        found = next((name for name in _OF_PEOPLE if name in terms), None)
        if found is not None:
            raise BadInput(f"Found {found!r} for {sends_to}: it is of people. It takes 'parameters'.")
        if not isinstance(terms.get("parameters", {}), Mapping):
            raise BadInput("The parameters are no names and values.")
        return
    if "parameters" in terms:
        raise BadInput("Found 'parameters' for people: state who looks again with 'to', such as model-judge.")
    reviewers = terms.get("reviewers", 1)
    if not isinstance(reviewers, int) or not 1 <= reviewers <= REVIEWERS_MAX:
        raise BadInput(f"Found {reviewers!r} reviewers: expected 1 to {REVIEWERS_MAX}.")
    for key in _FIELD.findall(_text("link", terms.get("link", "https://"))):
        if key not in PLACES and not key.startswith("label."):
            raise BadInput(
                f"The link holds {{{key}}}: it takes {{task}}, {{external_id}}, {{action}}, {{label.NAME}}."
            )
    if not str(terms.get("link", "https://")).startswith(("https://", "http://")):
        raise BadInput(f"Found the link {terms['link']!r:.80}: expected one that begins with https://.")
    if terms.get("rate") is not None:
        dollars(str(terms["rate"]))
    _text("question", terms.get("question", "?"))


def share_of(text: str) -> Decimal:
    """A share as it is written: 0.05 or 5%.

    >>> share_of("5%"), share_of("1")
    (Decimal('0.05'), Decimal('1'))
    """
    try:
        share = Decimal(text.rstrip("% ")) / (100 if text.rstrip().endswith("%") else 1)
    except InvalidOperation:
        share = Decimal(-1)
    if not (share.is_finite() and 0 < share <= 1):
        raise BadInput(f"Found the share {text[:40]!r}: write one like 0.05 or 5%.")
    return share


def _text(name: str, given: object) -> str:
    if not isinstance(given, str) or not given.strip():
        raise BadInput(f"Found {given!r:.60} as {name}: expected a text.")
    return given
