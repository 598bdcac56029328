"""Prices: what each model costs by the book, who says so since when, and all that was ever said of it."""

from collections import Counter
from collections.abc import Mapping
from urllib.parse import quote

from flatfare.core.errors import NotFound
from flatfare.core.units import UNITS
from flatfare.prices.book import Found, Missing, PriceBook
from flatfare.service.costing import price_versions
from flatfare.service.costing.price_telling import first_names, listed, rate_row, statement_row, statements
from flatfare.service.costing.price_versions import Terms, rates_in
from flatfare.service.costing.pricing import open_price_book
from flatfare.web.access import Right
from flatfare.web.pages.blocks import Block, Cell, Column, Csv, Fact, Facts, Notes, Search, Table, View
from flatfare.web.pages.page import Page, Visit
from flatfare.web.pages.ranked import spend_cell

_COLUMNS = (
    Column("model", "left"),
    Column("Provider", "left"),
    Column("Input"),
    Column("Cached"),
    Column("Output"),
    Column("Since", "left", gives_way=True),
    Column("Who says so", "left", gives_way=True),
)
_CSV = ("provider", "model", "input", "cache_read", "output", "currency", "since", "source", "checked")
PROVIDERS_SHOWN = 15
_UP = ("Prices", "/prices")
_NAMED_BY = "Each call names the version of the prices it was costed with, on its task's page and in exports."
_SUM = (
    "A call costs the sum of its counts times these rates, each divided by what the rate is per, rounded "
    "once to a nano-dollar, half to even. A unit without a rate goes at that of its nearest kind."
)
_PER = "In dollars per million tokens, the standard rates. Pick a model for every dated and conditional rate."


def view(visit: Visit) -> View:
    """The book; of all models where nothing is searched for, those that were used."""
    book = open_price_book(visit.books.settings)
    asked = visit.asking.more
    provider, like = asked.get("provider"), asked.get("like")
    blocks: list[Block] = [
        Search(
            "/prices",
            (
                ("like", "Model", like or "", "such as gpt-5"),
                ("provider", "Provider", provider or "", "such as openai"),
            ),
            "Search",
        )
    ]
    if provider or like:
        rows = list(listed(book, [provider] if provider else book.providers(), like, visit.books.now_us))
        blocks.append(_table(rows, visit, f"{len(rows):,} models with a price"))
        document: object = {"models": rows}
    else:
        used = _used(visit, book)
        blocks += [_used_table(used, visit), _providers(book, visit)]
        document = {"models": [row for row, _, _ in used if row]}
    blocks.append(Notes((_PER,)))
    return View("Prices", tuple(blocks), document, has_period=not (provider or like))


def _table(rows: list[Mapping[str, object]], visit: Visit, title: str) -> Table:
    shown = rows[: visit.limit]
    more = None
    if len(rows) > len(shown):
        more = (f"Show all {len(rows):,}", visit.asking.url(limit="0"))
    cells = tuple(_cells(row, f"/prices/{_path(str(row['provider']), str(row['model']))}") for row in shown)
    return Table(
        "models", title, _COLUMNS, cells, Csv(_CSV, rows), empty="No model like that has a price.", more=more
    )


def _cells(row: Mapping[str, object], href: str) -> tuple[Cell, ...]:
    before, after = ("$", "") if row["currency"] == "USD" else ("", f" {row['currency']}")
    return (
        Cell(str(row["model"]), href=href),
        Cell(str(row["provider"]), tone="quiet"),
        *(
            Cell(f"{before}{row[unit]}{after}" if row[unit] else "")
            for unit in ("input", "cache_read", "output")
        ),
        Cell(str(row["since"] or "always")),
        Cell(str(row["source"] or ""), tone="quiet"),
    )


def _used(visit: Visit, book: PriceBook) -> list[tuple[Mapping[str, object], tuple[str, str], Cell]]:
    """Each model that calls of the period used, with its rates; empty where the book has none."""
    found = visit.report("provider", "model", limit=visit.limit)
    rows: list[tuple[Mapping[str, object], tuple[str, str], Cell]] = []
    for row in found.rows:
        provider, model = row.keys
        if not provider or not model or row.is_published:
            continue
        priced = [one for one in listed(book, [provider], model, visit.books.now_us) if one["model"] == model]
        known = priced[0] if priced else _found_row(book, provider, model, visit.books.now_us)
        rows.append((known, (provider, model), spend_cell(row)))
    return rows


def _found_row(book: PriceBook, provider: str, model: str, at_us: int) -> Mapping[str, object]:
    """The rates of a model that the book knows by another name."""
    found = book.find(provider, model, at_us)
    if isinstance(found, Missing):
        return {}
    close = [one for one in listed(book, [found.provider], found.model, at_us) if one["model"] == found.model]
    return close[0] if close else {}


def _used_table(used: list[tuple[Mapping[str, object], tuple[str, str], Cell]], visit: Visit) -> Table:
    rows = []
    for row, (provider, model), spend in used:
        cells = (
            _cells(
                {**row, "model": model, "provider": provider}, f"/prices/{_path(provider, str(row['model']))}"
            )
            if row
            else (
                Cell(model, "no price in the book", "/unknown"),
                Cell(provider, tone="quiet"),
                *(Cell(None, why="/unknown") for _ in range(3)),
                Cell(""),
                Cell("flatfare prices add", tone="code"),
            )
        )
        rows.append((*cells, spend))
    columns = (*_COLUMNS, Column("Spend"))
    csv = Csv(_CSV, [row for row, _, _ in used if row])
    empty = visit.nothing("No call of this period names a model.")
    return Table("used", "Models in use", columns, tuple(rows), csv, empty=empty)


def _providers(book: PriceBook, visit: Visit) -> Table:
    counts = Counter({name: len(first_names(book, name)) for name in book.providers()})
    most = max(counts.values(), default=1)
    rows = tuple(
        (Cell(name, href=f"/prices?provider={quote(name)}", bar=count / most), Cell(f"{count:,}"))
        for name, count in counts.most_common()
        if count
    )
    csv = Csv(("provider", "models"), [{"provider": name, "models": count} for name, count in counts.items()])
    columns = (Column("provider", "left"), Column("Models"))
    shown = rows[: PROVIDERS_SHOWN if visit.asking.limit is None else visit.limit]
    more = (f"Show all {len(rows):,}", visit.asking.url(limit="0")) if len(rows) > len(shown) else None
    return Table("providers", "Providers in the book", columns, shown, csv, more=more)


def of_model(visit: Visit) -> View:
    """One model: the rates that apply now, and every statement."""
    provider, model = visit.path["provider"], visit.path["model"]
    book = open_price_book(visit.books.settings)
    found = book.find(provider, model, visit.books.now_us)
    history = [statement_row(*item) for item in statements(book, provider, model)]
    if isinstance(found, Missing) and not book.listings(provider, model):
        raise NotFound(found.reason)
    rates = (
        [rate_row(found, unit) for unit in UNITS if unit in found.rates] if isinstance(found, Found) else []
    )
    blocks: list[Block] = []
    if isinstance(found, Found):
        facts = (
            Fact("Provider", Cell(found.provider, href=f"/prices?provider={quote(found.provider)}")),
            Fact("Listed as", Cell(found.model)),
            Fact("Currency", Cell(found.currency)),
        )
        blocks.append(Facts("", facts))
    blocks += [_rates(rates), _history(history)]
    document = {"provider": provider, "model": model, "rates": rates, "history": history}
    return View(model, tuple(blocks), document, eyebrow=_UP, has_period=False)


def of_version(visit: Visit) -> View:
    """The prices that a call was costed with, as they were then."""
    version, books = visit.asking.more.get("of"), visit.books
    asked = (("of", "Version", version or "", "such as openai/gpt-4o@2026-01-05:own:0123456789ab"),)
    blocks: list[Block] = [Search("/prices/version", asked, "Look up")]
    if not version:
        # Which prices were used tells what others called: who sees a part looks up what their calls name.
        is_whole = visit.visitor.scope.is_whole
        kept = price_versions.listed(books.book, visit.limit) if is_whole else []
        blocks += [_versions(kept), Notes((_NAMED_BY,))]
        return View("Prices of calls", tuple(blocks), {"versions": kept}, eyebrow=_UP, has_period=False)
    found = price_versions.told(books.book, open_price_book(books.settings), version)
    for number, terms in enumerate(found):
        more = f"-{number + 1}" if number else ""
        blocks += [_terms(terms), _rates(rates_in(terms), f"rates{more}", "Rates of this version")]
    blocks.append(Notes((_SUM,)))
    title = " and ".join(dict.fromkeys(str(terms["model"]) for terms in found))
    return View(title, tuple(blocks), {"prices": found}, eyebrow=_UP, has_period=False)


def _versions(kept: list[Terms]) -> Table:
    rows = tuple(
        (
            Cell(str(row["version"]), tone="code", href=address_of(str(row["version"]))),
            Cell(str(row["since"])),
            Cell(str(row["layer"]), tone="quiet"),
            Cell(str(row["kept_at"])[:10], tone="quiet"),
        )
        for row in kept
    )
    columns = (
        Column("Version", "left"),
        Column("Since", "left"),
        Column("Layer", "left", gives_way=True),
        Column("Kept since", "left", gives_way=True),
    )
    csv = Csv(("version", "provider", "model", "since", "layer", "kept_at"), kept)
    return Table(
        "versions", "Prices that calls were costed with", columns, rows, csv, empty="No call was yet."
    )


def address_of(version: str) -> str:
    """The page of a version."""
    return f"/prices/version?of={quote(version, safe='')}"


def _terms(terms: Terms) -> Facts:
    provider, model, minimums = str(terms["provider"]), str(terms["model"]), terms["minimums"]
    assert isinstance(minimums, dict)
    kept = terms["kept_at"]
    facts = (
        Fact("Version", Cell(str(terms["version"]), tone="code")),
        Fact("Model", Cell(model, href=f"/prices/{_path(provider, model)}")),
        Fact("Provider", Cell(provider, href=f"/prices?provider={quote(provider)}")),
        Fact("Since", Cell(str(terms["since"] or "always")[:10])),
        Fact("Layer", Cell(str(terms["layer"]))),
        Fact("Currency", Cell(str(terms["currency"]))),
        Fact("Billed at least", Cell(", ".join(f"{count} {unit}" for unit, count in minimums.items()))),
        Fact("Kept since", Cell(str(kept)[:10] if kept else "not kept here: as the price book has them")),
    )
    return Facts("", tuple(fact for fact in facts if fact.value.text != ""))


def _rates(rates: list[dict[str, object]], name: str = "rates", title: str = "Rates that apply now") -> Table:
    rows = tuple(
        (
            Cell(str(row["unit"]).replace("_", " ")),
            Cell(str(row["rate"]), _per(int(str(row["per"])), str(row["quantum"])), tone="strong"),
            Cell(str(row["since"] or "always")),
            Cell(str(row["layer"]), tone="quiet"),
            Cell(str(row["source"] or ""), str(row["note"] or "")),
            Cell(str(row["checked"] or ""), tone="quiet"),
        )
        for row in rates
    )
    columns = (
        Column("unit", "left"),
        Column("Rate"),
        Column("Since", "left"),
        Column("Layer", "left", gives_way=True),
        Column("Who says so", "left", is_long=True),
        Column("Checked", "left", gives_way=True),
    )
    names = ("unit", "rate", "per", "quantum", "since", "layer", "source", "checked", "note")
    return Table(name, title, columns, rows, Csv(names, rates), empty="No rate applies now.")


def _per(count: int, quantum: str) -> str:
    """Of how many the rate is."""
    if count == 1:
        return f"per {quantum}"
    return f"per {count:,} {quantum}{'es' if quantum.endswith(('ch', 'sh', 's')) else 's'}"


def _history(history: list[dict[str, object]]) -> Table:
    rows = tuple(
        (
            Cell(f"{row['from'] or 'always'}" + (f" to {row['until']}" if row["until"] else "")),
            Cell(str(row["says"])),
            Cell(str(row["when"] or ""), tone="quiet"),
            Cell(str(row["layer"]), tone="quiet"),
            Cell(str(row["source"] or ""), str(row["note"] or "")),
        )
        for row in history
    )
    columns = (
        Column("From", "left"),
        Column("Says", "left", is_long=True),
        Column("When", "left"),
        Column("Layer", "left", gives_way=True),
        Column("Who says so", "left", is_long=True),
    )
    names = ("from", "until", "when", "says", "layer", "source", "checked", "note")
    title = "Every statement, the most trusted first"
    return Table("history", title, columns, rows, Csv(names, history), empty="Nothing was said of it.")


def _path(provider: str, model: str) -> str:
    return f"{quote(provider, safe='')}/{quote(model, safe='/:@')}"


PAGE = Page("/prices", "prices", "Prices", Right.READ, view, takes=("provider", "like"), narrows=True)
OF_VERSION = Page(
    "/prices/version",
    "price-version",
    "Prices of a call",
    Right.READ,
    of_version,
    takes=("of",),
    narrows=True,
    in_navigation=False,
)
OF_MODEL = Page(
    "/prices/{provider}/{model:path}",
    "price",
    "Price",
    Right.READ,
    of_model,
    narrows=True,
    in_navigation=False,
)
