"""No personal data is left in the output, as far as rules can tell.

Sure, and so a failure: e-mail addresses, telephone numbers in international or North American
form, bank accounts (IBAN) and payment cards whose check digits hold, and national numbers by
their check digits or shape: `us-ssn`, `uk-nino`, `fr-nir`, `de-tax`, `es-id`, `it-code`, `pl-pesel`,
`se-number`, `be-number`. What only may be one (ten bare digits, a Dutch `nl-bsn`) makes it
abstain, and so do the kinds that rules cannot tell and that were asked for: `name`, `address`,
`birth-date`. Reasons and evidence say which kind stands where, and never repeat it.

```yaml
kind: personal-data
parameters: {kinds: [email, phone, iban, card], allow: ["help@acme.example", "@acme.example"]}
```
"""

from flatfare.core.checks import personal
from flatfare.core.checks.finding import Ruling, failed
from flatfare.core.checks.submission import NothingThere, Submission, picked
from flatfare.core.errors import BadInput
from flatfare.verifiers.kinds import Kind, OnOutput


class PersonalData(OnOutput, frozen=True, kw_only=True):
    """Which kinds are looked for, and what may stand: whole items, or the end of e-mail addresses."""

    kinds: tuple[str, ...] = tuple(personal.SHAPES)
    allow: tuple[str, ...] = ()

    def check(self) -> None:
        """The kinds are known ones."""
        known = (*personal.SHAPES, *personal.UNTOLD)
        for kind in self.kinds:
            if kind not in known:
                raise BadInput(f"'kinds' holds {kind!r}: it takes {', '.join(known)}.")
        if not self.kinds:
            raise BadInput("'kinds' is empty: state what to look for.")


def judge(submission: Submission, parameters: PersonalData) -> Ruling:
    """Look for personal data in the output."""
    try:
        text = picked(submission.output, parameters.at)
    except NothingThere as problem:
        return failed(str(problem))
    return personal.judged(text, parameters.kinds, frozenset(map(str.casefold, parameters.allow)))


KIND = Kind("personal-data", PersonalData, judge)
