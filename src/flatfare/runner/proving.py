"""An attempt's output before the action's verifiers: what each found, and what that adds up to.

The output schema is asked first; what it refuses is no answer, and nobody else is asked.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from flatfare.core.action import Action, Ending
from flatfare.core.checks.finding import Finding
from flatfare.core.checks.submission import Submission
from flatfare.core.errors import BadInput, FlatfareError
from flatfare.core.outcome import Judgement
from flatfare.runner.inputs import Prepared
from flatfare.runner.working import input_files
from flatfare.service.actions.documents import plain
from flatfare.service.actions.reading import OUTPUT_SCHEMA
from flatfare.verifiers import kinds
from flatfare.verifiers.kinds import Means


@dataclass(frozen=True, slots=True)
class Proof:
    """What the verifiers found of one attempt, and its ending."""

    findings: tuple[Finding, ...]
    ending: Ending

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was not verified, by verifier; may quote the output."""
        return tuple(
            f"{found.verifier}: {reason}"
            for found in self.findings
            if found.judgement is not Judgement.PASS
            for reason in found.reasons[:3]
        )


class Prover:
    """The verifiers of one action, made once; the folders that they need stand as long as it is open."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self._folder = tempfile.TemporaryDirectory(prefix="flatfare-action-")
        place = Path(self._folder.name)
        for path, content in action.bundle.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
        self._place = place
        self._schema: kinds.Check | None = None
        self._plain: dict[str, kinds.Check] = {}
        try:
            if action.output_schema is not None:
                given = {"schema": plain(action.output_schema)}
                self._schema = kinds.verifier("json-schema", given, name=OUTPUT_SCHEMA)
            for check in action.checks:
                if not check.is_awaited:
                    self._plain[check.name] = self._verifier(check.name)
        except FlatfareError:
            self.close()
            raise

    def close(self) -> None:
        """Remove what was laid out for it."""
        self._folder.cleanup()

    @property
    def versions(self) -> dict[str, str]:
        """Each verifier's version."""
        own = {} if self._schema is None else {OUTPUT_SCHEMA: self._schema.version}
        return own | {name: verifier.version for name, verifier in self._plain.items()}

    async def judge(self, output: str, given: Prepared, attempt: int, means: Means) -> Proof:
        """What they find of an output. Verifiers run in threads: they may take their time."""
        submission = Submission(output, given.text, None, input_files(given, {}), attempt)
        findings = []
        if self._schema is not None:
            first = await asyncio.to_thread(self._schema.judge, submission)
            findings.append(first)
            if first.judgement is not Judgement.PASS:
                return Proof(tuple(findings), Ending.MALFORMED)
        verifiers = [self._verifier(name, means) if one.asks else one for name, one in self._plain.items()]
        findings += await asyncio.gather(*(asyncio.to_thread(one.judge, submission) for one in verifiers))
        return Proof(tuple(findings), ending_of(self._action, findings))

    def _verifier(self, name: str, means: Means | None = None) -> kinds.Check:
        check = next(one for one in self._action.checks if one.name == name)
        parameters = {key: plain(value) for key, value in check.parameters.items()}
        suite = parameters.get("suite")
        if check.kind == "command" and isinstance(suite, str):
            parameters["suite"] = str(self._place / suite.removeprefix("./"))
        try:
            return kinds.verifier(check.kind, parameters, name=check.name, means=means)
        except BadInput as problem:
            raise type(problem)(f"The verifier {check.name!r} cannot be used. {problem}") from None


def ending_of(action: Action, findings: list[Finding]) -> Ending:
    """What the findings of one attempt add up to under the definition of the action's outcome."""
    words = {
        found.verifier: found.judgement for found in findings if found.judgement is not Judgement.ABSTAIN
    }
    decided = action.definition.decided(words)
    if decided is not None:
        return Ending.VERIFIED if decided is Judgement.PASS else Ending.FAILED
    awaited = {check.name: Judgement.PASS for check in action.checks if check.is_awaited}
    is_open = action.definition.decided({**words, **awaited}) is Judgement.PASS
    return Ending.AWAITED if is_open else Ending.UNDECIDED
