"""Facts: one row per task and group, with the task's cost and state, as SQL over the lake's views.

A task's cost counts once. Of each part, its calls count if all of them are known; else
what its source gave for the whole; else what is known of its calls, as "at least".
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flatfare.service.reporting.holdings import HEADLINE_PURPOSES, Holdings
from flatfare.service.reporting.question import COMPUTED, COUNTS, Question

OPEN, VERIFIED, FAILED, ASSUMED, REVERSED = range(5)
"""States of a task in a report: matured tasks by outcome, all others open. Closed in silence is assumed."""

_STATES = {OPEN: "open", VERIFIED: "verified", FAILED: "failed", ASSUMED: "assumed", REVERSED: "reversed"}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where facts are read, and what is there."""

    question: Question
    holdings: Holdings
    folded: str = "folded"  # the relation of folded calls, with fees allocated where there are any

    @property
    def counts_given(self) -> bool:
        """What a source gave for whole tasks counts: it is reported, and never computed."""
        return self.question.cost != COMPUTED

    def call_sums(self, purposes: Iterable[str]) -> dict[str, str]:
        """The sums over folded rows of these purposes alone, by name, without those that are all zero."""
        wanted = set(purposes)
        return {
            **self._sums_of("work", "work", wanted),
            **self._sums_of("judged", "verification", wanted),
            **self._sums_of("simulation", "simulation", wanted),
            **self._sums_of("test", "test", wanted),
            **(self._headline_sums(wanted) if wanted & HEADLINE_PURPOSES else {}),
            **({"any_n": "SUM(n)"} if self.holdings.has_withdrawn else {}),
            **({"first_at_us": "MIN(first_at_us)"} if self.question.needs_moment else {}),
        }

    @property
    def cost_column(self) -> str:
        """The column of folded rows that counts."""
        return "cost_nano" if self.question.cost == COUNTS else f"{self.question.cost}_nano"

    @property
    def unknown_column(self) -> str:
        """How many calls of a folded row lack that cost."""
        return "unknown_n" if self.question.cost == COUNTS else f"(n - {self.question.cost}_n)"

    def _sums_of(self, name: str, purpose: str, wanted: set[str]) -> dict[str, str]:
        if purpose not in wanted & self.holdings.purposes:
            return {}
        only = self._only({purpose}, wanted & self.holdings.purposes)
        fee = " + allocated_nano" if self.holdings.has_fixed and purpose not in HEADLINE_PURPOSES else ""
        sums = {f"{name}_nano": f"SUM({self.cost_column}{fee}){only}"}
        if purpose in HEADLINE_PURPOSES or self.holdings.has_given_simulation:
            sums[f"{name}_n"] = f"SUM(n){only}"
        if self.holdings.has_unknown or self.question.cost != COUNTS:
            sums[f"{name}_unknown"] = f"SUM({self.unknown_column}){only}"
        return sums

    def _headline_sums(self, wanted: set[str]) -> dict[str, str]:
        only = self._only(HEADLINE_PURPOSES, wanted & self.holdings.purposes)
        sums = {"input_tokens": f"SUM(input_tokens){only}", "output_tokens": f"SUM(output_tokens){only}"}
        if not self.single_basis:
            for name in ("computed", "reported"):
                sums |= {f"{name}_n": f"SUM({name}_n){only}", f"{name}_nano": f"SUM({name}_nano){only}"}
        if self.holdings.has_fixed:
            sums["fixed_nano"] = f"SUM(allocated_nano){only}"
        return sums

    @property
    def single_basis(self) -> str | None:
        """The basis of every known cost, where there is only one and it is the one that counts."""
        if self.question.cost != COUNTS or self.holdings.has_fixed:
            return None
        if self.holdings.has_reported != self.holdings.has_computed:
            return "reported" if self.holdings.has_reported else "computed"
        return None

    def _only(self, purposes: Iterable[str], wanted: set[str]) -> str:
        if wanted <= set(purposes):
            return ""
        return f" FILTER (WHERE purpose IN ({', '.join(repr(purpose) for purpose in sorted(purposes))}))"


def tasks_sql(sources: Sources, columns: dict[str, str], relation: str = "tasks") -> str:
    """The tasks as a report sees them: state, moment, amounts of their own, and the columns asked for."""
    held, question = sources.holdings, sources.question
    parts = {"id": "tasks.id", "state": _state(question.now_us), **columns}
    if question.needs_moment:
        parts["opened_at_us"] = "opened_at_us"
    if sources.counts_given:
        present = {
            "given_nano": held.has_given,
            "given_verification_nano": held.has_given_verification,
            "given_simulation_nano": held.has_given_simulation,
        }
        parts |= {name: name for name, there in present.items() if there}
    if held.has_given_size:
        parts |= {name: name for name in ("given_calls", "given_input_tokens", "given_output_tokens")}
    if held.has_rework:
        parts |= {"rework_nano": "rework_nano", "rework_ms": "rework_ms"}
    joins = ""
    if held.has_verdict_costs and sources.counts_given:
        parts |= {"verdict_nano": "judging.nano", "people_nano": "judging.people"}
        joins += (
            " LEFT JOIN (SELECT task_id, SUM(cost_nano) FILTER (WHERE kind <> 'human') AS nano, "
            "SUM(cost_nano) FILTER (WHERE kind = 'human') AS people FROM verdicts GROUP BY task_id) "
            "AS judging ON judging.task_id = tasks.id"
        )
    if held.has_attempts:
        parts["attempts"] = "tries.n"
        joins += " LEFT JOIN tries ON tries.task_id = tasks.id"
    body = ", ".join(f"{sql} AS {name}" for name, sql in parts.items())
    return f"SELECT {body} FROM {relation}{joins}"


def _state(now_us: int) -> str:
    return (
        f"CASE WHEN matures_at_us <= {now_us} THEN CASE outcome WHEN 'verified' THEN {VERIFIED} "
        f"WHEN 'failed' THEN {FAILED} WHEN 'reversed' THEN {REVERSED} ELSE {ASSUMED} END ELSE {OPEN} END"
    )


def state_text(state: str) -> str:
    """SQL: a state as an outcome's name."""
    cases = " ".join(f"WHEN {number} THEN '{name}'" for number, name in _STATES.items())
    return f"CASE {state} {cases} END"


@dataclass(frozen=True, slots=True)
class Costing:
    """The formulas of one task's cost, over a row that holds its sums and its own amounts."""

    sources: Sources
    sums: frozenset[str]  # names of the sums over calls that the row has

    def sum(self, name: str) -> str:
        """A sum over calls; 0 where the task has none, or nobody has any."""
        return f"COALESCE({name}, 0)" if name in self.sums else "0"

    @property
    def given(self) -> str | None:
        """The column of the work cost that the source gave, where any did."""
        return "given_nano" if self.sources.holdings.has_given and self.sources.counts_given else None

    @property
    def judging(self) -> str | None:
        """What verification by machines cost where its calls do not say: by the source, else by verdicts."""
        if not self.sources.counts_given:
            return None
        held = self.sources.holdings
        columns = [
            name
            for name, there in (
                ("given_verification_nano", held.has_given_verification),
                ("verdict_nano", held.has_verdict_costs),
            )
            if there
        ]
        return f"COALESCE({', '.join(columns)})" if columns else None

    @property
    def people(self) -> str | None:
        """What people's judging cost, which no call says; a source's own total has it in it."""
        held = self.sources.holdings
        if not (held.has_verdict_costs and self.sources.counts_given):
            return None
        if held.has_given_verification:
            return "(CASE WHEN given_verification_nano IS NULL THEN people_nano END)"
        return "people_nano"

    @property
    def judged(self) -> str:
        """What verification cost, people's beside that of calls; null where nothing is known."""
        machines = self.amount("judged", self.judging)
        if self.people is None:
            return machines
        return f"COALESCE({machines} + {self.people}, {machines}, {self.people})"

    @property
    def given_simulation(self) -> str | None:
        """The column of the simulation cost that the source gave, where any did."""
        there = self.sources.holdings.has_given_simulation and self.sources.counts_given
        return "given_simulation_nano" if there else None

    def is_whole(self, name: str) -> str:
        """Calls of that purpose are there, and all of them are known."""
        return f"({self.sum(f'{name}_n')} > 0 AND {self.sum(f'{name}_unknown')} = 0)"

    def amount(self, name: str, instead: str | None) -> str:
        """The calls' cost, or what stands instead of it, or the known part; null where nothing is known."""
        known = (
            f"WHEN {self.sum(f'{name}_n')} > {self.sum(f'{name}_unknown')} THEN {self.sum(f'{name}_nano')}"
        )
        if instead is None:
            return f"CASE {known} END"
        return (
            f"CASE WHEN {self.is_whole(name)} THEN {self.sum(f'{name}_nano')} "
            f"WHEN {instead} IS NOT NULL THEN {instead} {known} END"
        )

    @property
    def work_lacks(self) -> str:
        """Part of the work's cost is not known; work without a call or a cost given is not known either."""
        lacks = f"NOT {self.is_whole('work')}"
        return f"({lacks} AND {self.given} IS NULL)" if self.given else lacks

    @property
    def judged_lacks(self) -> str:
        """Part of the verification's cost is not known."""
        lacks = f"{self.sum('judged_unknown')} > 0"
        return f"({lacks} AND {self.judging} IS NULL)" if self.judging else lacks

    @property
    def rework(self) -> str:
        """What people's work afterwards cost; null where there was none, or nobody knows."""
        return "rework_nano" if self.sources.holdings.has_rework else "CAST(NULL AS BIGINT)"

    @property
    def rework_lacks(self) -> str:
        """People worked on it, and what that cost is not known."""
        has = self.sources.holdings.has_rework
        return "(rework_nano IS NULL AND COALESCE(rework_ms, 0) > 0)" if has else "FALSE"

    @property
    def simulation(self) -> str:
        """What simulating the other side cost."""
        instead = self.given_simulation
        return self.amount("simulation", instead) if instead else self.sum("simulation_nano")

    @property
    def simulation_unknown(self) -> str:
        """Simulation calls whose cost is not known."""
        unknown = self.sum("simulation_unknown")
        if self.given_simulation is None:
            return unknown
        return f"CASE WHEN {self.given_simulation} IS NULL THEN {unknown} ELSE 0 END"

    @property
    def call_count(self) -> str:
        """Calls for work and verification; null where nobody said."""
        counted = f"{self.sum('work_n')} + {self.sum('judged_n')}"
        return f"COALESCE(NULLIF({counted}, 0){self._given_size('given_calls')})"

    def tokens(self, name: str) -> str:
        """Tokens in or out for work and verification, from the calls if there are any."""
        if not self.sources.holdings.has_given_size:
            return self.sum(name)
        counted = f"{self.sum('work_n')} + {self.sum('judged_n')}"
        return f"CASE WHEN {counted} > 0 THEN {self.sum(name)} ELSE COALESCE(given_{name}, 0) END"

    def _given_size(self, name: str) -> str:
        return f", {name}" if self.sources.holdings.has_given_size else ""

    def basis(self, name: str) -> tuple[str, str]:
        """How many calls have a cost of that basis, and its sum; what a source gave counts as reported."""
        count, amount = self.basis_of_calls(name)
        if name == "reported" and self.given:
            alone = f"CASE WHEN {self.sum('work_n')} = 0 AND {self.given} IS NOT NULL THEN"
            return f"{count} + {alone} 1 ELSE 0 END", f"{amount} + {alone} {self.given} ELSE 0 END"
        return count, amount

    def basis_of_calls(self, name: str) -> tuple[str, str]:
        """How many calls have a cost of that basis, and its sum."""
        if self.sources.single_basis == name:
            count = " + ".join(
                f"{self.sum(f'{part}_n')} - {self.sum(f'{part}_unknown')}" for part in ("work", "judged")
            )
            return count, f"{self.sum('work_nano')} + {self.sum('judged_nano')}"
        return self.sum(f"{name}_n"), self.sum(f"{name}_nano")

    def columns(self) -> dict[str, str]:
        """Everything a fact says beside its keys and its state."""
        computed_n, computed = self.basis("computed")
        reported_n, reported = self.basis("reported")
        return {
            "work": self.amount("work", self.given),
            "judged": self.judged,
            "rework": self.rework,
            "fixed": self.sum("fixed_nano"),
            "work_lacks": self.work_lacks,
            "judged_lacks": self.judged_lacks,
            "rework_lacks": self.rework_lacks,
            "work_unknown_n": self.sum("work_unknown"),
            "judged_unknown_n": self.sum("judged_unknown"),
            "simulation": self.simulation,
            "simulation_unknown_n": self.simulation_unknown,
            "test": self.sum("test_nano"),
            "test_unknown_n": self.sum("test_unknown"),
            "calls": self.call_count,
            "tokens_in": self.tokens("input_tokens"),
            "tokens_out": self.tokens("output_tokens"),
            "computed_n": computed_n,
            "computed": computed,
            "reported_n": reported_n,
            "reported": reported,
            "tries": self.tries,
        }

    @property
    def tries(self) -> str:
        """Recorded attempts; a task without any is one try."""
        return "GREATEST(COALESCE(attempts, 1), 1)" if self.sources.holdings.has_attempts else "1"
