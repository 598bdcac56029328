"""What is shipped is what was reviewed and what genai-prices says: compiled afresh, rate for rate."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from flatfare.core.errors import BadInput
from flatfare.core.moments import micros_of
from flatfare.prices import genai
from flatfare.prices.book import Circumstances, Found, PriceBook
from flatfare.prices.catalogue import Catalogue, Trust
from flatfare.prices.compile import compiled
from flatfare.prices.layers import DATA, ReviewedLayer, ShippedLayer, compiled_path

REVIEWED = sorted(path for path in DATA.glob("*.yaml") if path.stem != "exchange")


@pytest.mark.parametrize("path", REVIEWED, ids=lambda path: path.stem)
def test_the_compiled_form_is_the_files(path: Path) -> None:
    advice = f"run python -m flatfare.prices.compile after an edit of {path.name}"
    assert compiled_path(path).read_bytes() == compiled(path), advice


@pytest.mark.parametrize("path", sorted((DATA / "shipped").glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_statement_can_be_read(path: Path) -> None:
    Catalogue(msgspec.json.decode(path.read_bytes()), Trust.SHIPPED, "shipped").check()


def test_the_shipped_copy_is_of_the_installed_version() -> None:
    from genai_prices import __version__

    content = msgspec.json.decode((DATA / "shipped" / "openai.json").read_bytes())
    if content["source"] != f"genai-prices {__version__}":
        pytest.skip(f"ships {content['source']}, and {__version__} is installed")
    for provider, expected in genai.catalogues().items():
        assert (DATA / "shipped" / f"{provider}.json").read_bytes() == genai.written(expected), provider


def named_models() -> Iterator[tuple[str, str, object]]:
    """Our provider, a name, and genai-prices' own model of that name."""
    from genai_prices.data import providers

    for provider in providers:
        ours = genai.PROVIDERS.get(provider.id, provider.id)
        for model in provider.models:
            found = provider.find_model(model.id)
            if found is not None and not model.id.endswith(":free"):
                yield ours, model.id, found


@pytest.mark.parametrize("day", ["2024-06-01", "2025-06-15", "2026-10-20"])
def test_rates_are_those_that_genai_prices_applies(day: str) -> None:
    from genai_prices.types import ModelInfo, TieredPrices

    book = PriceBook([ShippedLayer()])
    moment = datetime.fromisoformat(f"{day}T12:00:00+00:00").astimezone(UTC)
    compared = 0
    for provider, name, model in named_models():
        assert isinstance(model, ModelInfo)
        for tokens in (1, 150_000, 1_000_000):
            found = book.find(provider, name, micros_of(moment), Circumstances(), {"input": tokens})
            expected = model.get_prices(moment)
            if not isinstance(found, Found):
                assert _starts_later(model, moment), (provider, name)
                continue
            for key in ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"):
                value = getattr(expected, key)
                if isinstance(value, TieredPrices):
                    passed = [tier.price for tier in value.tiers if tokens > tier.start]
                    value = passed[-1] if passed else value.base
                rate = found.rates.get(genai.UNITS[key][0])
                amount = None if rate is None else Decimal(rate.amount_nano * 1_000_000) / rate.per / 10**9
                assert amount == value, (provider, name, key, tokens)
                compared += 1
    assert compared > 20_000


def _starts_later(model: object, moment: datetime) -> bool:
    """All its prices begin after the moment: genai-prices then takes the first, we say there is none."""
    from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint

    assert isinstance(model, ModelInfo)
    if isinstance(model.prices, ModelPrice):
        return not any(value is not None for value in model.prices.__dict__.values())
    return all(
        isinstance(price.constraint, StartDateConstraint) and not price.constraint.active(moment)
        for price in model.prices
    ) or not any(genai.UNITS.keys() & price.prices.__dict__.keys() for price in model.prices)


class TestReviewedLayer:
    TEXT = "{provider: p, also: [pee], models: {m: {prices: [{rates: {input: 1}}]}}}"

    def test_a_stale_compiled_form_is_not_used(self, tmp_path: Path) -> None:
        path = tmp_path / "p.yaml"
        path.write_text(self.TEXT, encoding="utf-8")
        (tmp_path / "compiled").mkdir()
        compiled_path(path).write_bytes(compiled(path))
        path.write_text(self.TEXT.replace("input: 1", "input: 2"), encoding="utf-8")
        found = PriceBook([ReviewedLayer(tmp_path)]).find("p", "m", 0)
        assert isinstance(found, Found)
        assert found.rates["input"].amount_nano == 2_000_000_000

    def test_a_provider_is_found_under_its_other_name(self, tmp_path: Path) -> None:
        path = tmp_path / "p.yaml"
        path.write_text(self.TEXT, encoding="utf-8")
        (tmp_path / "compiled").mkdir()
        compiled_path(path).write_bytes(compiled(path))
        assert isinstance(PriceBook([ReviewedLayer(tmp_path)]).find("pee", "m", 0), Found)

    @pytest.mark.parametrize("text", ["[1]", "a: [", "{provider: q, models: {}}"])
    def test_a_file_that_cannot_be_read_is_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "p.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(BadInput, match=r"p\.yaml"):
            compiled(path)


@pytest.mark.parametrize("name", ["../openai", "", "a/b", "x\x00y", "*"])
def test_a_strange_provider_is_nowhere(name: str) -> None:
    book = PriceBook.standard()
    assert "No price" in str(book.find(name, "gpt-4o", 0))
