"""``flatfare estimate``: what a request would cost, at most and likely, before it is sent."""

import sys

import click

from flatfare.cli import output
from flatfare.cli.options import book_of, bytes_of, format_options, pass_settings
from flatfare.config import Settings
from flatfare.core.errors import BadInput, StoreFailure
from flatfare.service import clock
from flatfare.service.budgets.estimating import Estimate
from flatfare.service.budgets.estimating import estimate as estimated
from flatfare.service.costing.pricing import open_price_book
from flatfare.store.lake import Lake


@click.command()
@click.argument("request", metavar="FILE")
@click.option("--provider", default="openai", show_default=True, help="Whose request it is.")
@click.option("--endpoint", help="Such as chat.completions, messages, generateContent.")
@click.option("--model", help="Where the request does not name it.")
@format_options
@pass_settings
def estimate(
    settings: Settings,
    request: str,
    provider: str,
    endpoint: str | None,
    model: str | None,
    shape: str,
) -> None:
    """Say what a request would cost if it were sent now.

    FILE holds its body, as an SDK would send it; - reads stdin. The most it can cost is what
    a budget holds for it. Ends with exit code 1 where that cannot be told.
    """
    body = bytes_of(request)
    if not body.lstrip().startswith((b"{", b"--")):  # JSON, or the parts of a form
        raise BadInput(f"{request} holds no request: expected a body of JSON, such as {_EXAMPLE}")
    prices = open_price_book(settings)
    own = settings.providers.get(provider)
    tier = None if own is None else own.default_tier
    wanted = {"provider": provider, "endpoint": endpoint, "model": model, "default_tier": tier}
    now_us = clock.now_us()
    try:
        with book_of(settings) as book:
            found = estimated(prices, (book, Lake(settings.lake)), body, at_us=now_us, **wanted)  # type: ignore[arg-type]
    except StoreFailure:  # without a book there is no history, and a price all the same
        found = estimated(prices, None, body, at_us=now_us, **wanted)  # type: ignore[arg-type]
    if shape != "table":
        output.print_document(found.as_json(), shape)
    else:
        _say(found)
    sys.exit(0 if found.bound.most_nano is not None else 1)


_EXAMPLE = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "…"}]}'


def _say(found: Estimate) -> None:
    document = found.as_json()
    most, likely = document["at_most"], document["likely"]
    assert isinstance(most, dict)
    assert isinstance(likely, dict)
    output.say(f"{found.provider}/{found.model or 'no model named'}, {found.endpoint}")
    amount = output.MISSING if most["amount"] is None else f"${most['amount']}"
    output.say(f"at most  {amount}  ({most['reason']})")
    amount = output.MISSING if likely["amount"] is None else f"${likely['amount']}"
    read = output.MISSING if likely["input_tokens"] is None else likely["input_tokens"]
    tokens = f"{read} in, {likely['output_tokens']} out, {likely['output_from']}"
    output.say(f"likely   {amount}  ({tokens})")
