"""Amounts of any currency as pages show them."""

from flatfare.core.money import dollar_text, nano_of, parse_amount


def amount_text(amount: object, currency: str) -> str:
    """An amount that stands as decimal text in a document, with its currency."""
    nano = nano_of(parse_amount(str(amount))[0])
    return nano_text(nano, currency)


def nano_text(nano: int, currency: str) -> str:
    """An amount in nano units of a currency."""
    text = dollar_text(nano)
    return text if currency == "USD" else f"{text.replace('$', '')} {currency}"
