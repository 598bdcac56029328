"""Amounts of any currency as pages show them."""

from flatfare.core.money import NANO, dollar_text, nano_of, parse_amount


def amount_text(amount: object, currency: str) -> str:
    """An amount that stands as decimal text in a document, with its currency."""
    nano = nano_of(parse_amount(str(amount))[0])
    return nano_text(nano, currency)


def nano_text(nano: int, currency: str) -> str:
    """An amount in nano units of a currency; whole cents as on a bill: $0.05."""
    is_whole = nano % (NANO // 100) == 0
    said = (
        f"${abs(nano) // NANO:,}.{abs(nano) % NANO // (NANO // 100):02}"
        if is_whole
        else dollar_text(abs(nano))
    )
    text = f"−{said}" if nano < 0 else said
    return text if currency == "USD" else f"{text.replace('$', '')} {currency}"
