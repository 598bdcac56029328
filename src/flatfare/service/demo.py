"""The demo: public figures in a temporary book, and the few things they show at a glance.

Every figure is read back from the book; nothing is written down here but names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from flatfare.core.moments import parse_moment
from flatfare.core.money import NANO, half_even
from flatfare.core.pricing import Rate
from flatfare.prices.book import PriceBook
from flatfare.prices.schedule import Missing
from flatfare.service.importing.order import Order
from flatfare.service.importing.run import Stores, import_file
from flatfare.service.importing.watching import OnProgress, unwatched
from flatfare.service.leaderboard.gathering import boards_of, over_all_domains
from flatfare.service.leaderboard.ranking import Board, Place, Standing
from flatfare.service.leaderboard.showing import Showing

SUPPORT = "tau2-bench"
CODING = "OpenHands Index"
EXERCISES = "Aider polyglot"

PRICED_AT = "2026-05-13"  # the day of the board's results
_MAKERS = (
    ("DeepSeek", "deepseek"),
    ("Kimi", "moonshotai"),
    ("gpt", "openai"),
    ("gemini", "gemini"),
    ("claude", "anthropic"),
)
"""Who lists the price of a model, by the beginning of its name."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """A file that comes with the product, and how it is imported."""

    file: str
    kind: str
    source: str
    url: str
    licence: str
    published: str  # the day of its figures, where rows name none
    fixed: tuple[tuple[str, str], ...] = ()
    maps: tuple[tuple[str, str], ...] = ()


SHIPPED = (
    Shipped(
        "open-agent-leaderboard.csv",
        "leaderboard",
        "Open Agent Leaderboard",
        "https://github.com/Exgentic/open-agent-leaderboard",
        "CDLA-Permissive-2.0",
        "2026-05-13",
    ),
    Shipped(
        "aider-polyglot.csv",
        "leaderboard",
        EXERCISES,
        "https://github.com/Aider-AI/aider",
        "Apache-2.0",
        "2025-10-03",
        fixed=(("benchmark", EXERCISES), ("domain", "code editing")),
    ),
    Shipped(
        "openhands-index.parquet",
        "tasks",
        CODING,
        "https://github.com/OpenHands/openhands-index-results",
        "MIT",
        "2026-06-30",
        fixed=(("label.benchmark", CODING), ("name", "coding task")),
        maps=(("task", "domain+path+task"),),
    ),
)


@dataclass(frozen=True, slots=True)
class System:
    """One model in one harness on the customer-support board, beside its model's price per token."""

    model: str
    harness: str
    standing: Standing
    input_rate: Rate | None  # list price; None where the price book has none
    output_rate: Rate | None


@dataclass(frozen=True, slots=True)
class SameModel:
    """One model whose price per outcome differs by what is around it."""

    model: str
    cheapest: Standing
    dearest: Standing

    @property
    def factor(self) -> float:
        return (self.dearest.cost_per_verified_nano or 0) / (self.cheapest.cost_per_verified_nano or 1)


@dataclass(frozen=True, slots=True)
class Coding:
    """What coding tasks cost, and how much of it went into tasks that failed."""

    tasks: int
    paths: int
    spend_nano: int
    failed_nano: int

    @property
    def failed_share(self) -> float:
        return self.failed_nano / self.spend_nano


@dataclass(frozen=True, slots=True)
class Story:
    """What the demo tells."""

    support: Board
    systems: tuple[System, ...]  # each model in its cheapest and its dearest harness, cheapest first
    same_model: SameModel  # the model whose price per outcome differs most
    cheapest_try: Standing  # of the ranked, the one whose attempts cost least
    broken: Standing | None  # an attempt cheaper still, of a system that hardly ran
    coding: Coding
    exercises: Board


def load(stores: Stores, now_us: int, on_progress: OnProgress = unwatched) -> None:
    """Import the shipped files, by the import that everybody uses. Loading twice adds nothing."""
    for at, shipped in enumerate(SHIPPED):
        on_progress(at, len(SHIPPED))
        order = Order(
            kind=shipped.kind,
            source=shipped.source,
            maps=dict(shipped.maps),
            fixed=dict(shipped.fixed),
            at_us=parse_moment(shipped.published)[0],
            url=shipped.url,
            licence=shipped.licence,
        )
        import_file(stores, str(data_folder() / shipped.file), order, now_us)
    on_progress(len(SHIPPED), len(SHIPPED))


def data_folder() -> Path:
    """Where the shipped files lie."""
    return Path(str(files("flatfare").joinpath("data", "demo")))


def told(showings: Sequence[Showing], prices: PriceBook) -> Story:
    """The story of the shipped data, from what the book says of them."""
    support = over_all_domains(showings, SUPPORT)
    (exercises,) = boards_of(showings, benchmark=EXERCISES)
    coding = [showing for showing in showings if showing.benchmark == CODING]
    by_model = _by_model(support)
    chosen = sorted(
        {id(standing): standing for same in by_model for standing in (same.cheapest, same.dearest)}.values(),
        key=lambda standing: standing.cost_per_verified_nano or 0,
    )
    cheapest_try = min(support.ranked, key=lambda standing: standing.cost_per_attempt_nano or 0)
    return Story(
        support=support,
        systems=tuple(_system(standing, prices) for standing in _with(chosen, cheapest_try)),
        same_model=max(by_model, key=lambda same: same.factor),
        cheapest_try=cheapest_try,
        broken=min(
            support.at(Place.HARDLY_RAN),
            key=lambda standing: standing.cost_per_attempt_nano or 0,
            default=None,
        ),
        coding=Coding(
            sum(showing.n for showing in coding),
            len({showing.path for showing in coding}),
            sum(showing.cost_nano for showing in coding),
            sum(showing.failed_nano or 0 for showing in coding),
        ),
        exercises=exercises,
    )


def _by_model(board: Board) -> list[SameModel]:
    """Each model's cheapest and dearest harness; the board's ranked paths come cheapest first."""
    models: dict[str, list[Standing]] = {}
    for standing in board.ranked:
        models.setdefault(_parts(standing)[0], []).append(standing)
    return [SameModel(model, found[0], found[-1]) for model, found in models.items()]


def _with(chosen: list[Standing], more: Standing) -> list[Standing]:
    """The chosen and one more, in the order of the board."""
    if more in chosen:
        return chosen
    return sorted([*chosen, more], key=lambda standing: standing.cost_per_verified_nano or 0)


def _system(standing: Standing, prices: PriceBook) -> System:
    model, harness = _parts(standing)
    return System(model, harness, standing, *_list_price(model, prices))


def _parts(standing: Standing) -> tuple[str, str]:
    model, _, harness = standing.showing.path.partition(" in ")
    return model, harness


def _list_price(model: str, prices: PriceBook) -> tuple[Rate | None, Rate | None]:
    """The maker's list price of a token in and a token out."""
    maker = next((maker for beginning, maker in _MAKERS if model.startswith(beginning)), None)
    if maker is None:
        return None, None
    found = prices.find(maker, model.lower(), parse_moment(PRICED_AT)[0])
    if isinstance(found, Missing):
        return None, None
    return found.rates.get("input"), found.rates.get("output")


def dollars_per_million(rate: Rate | None) -> str:
    """A rate in dollars per million, as price lists write it; a dash where there is none."""
    if rate is None:
        return "—"
    return f"${half_even(rate.amount_nano * 1_000_000, rate.per) / NANO:.2f}"
