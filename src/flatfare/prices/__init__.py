"""The price book: dated, sourced rates as data, and finding the one that applies.

The book only ever grows: a rate holds from its day on, and what held before it
stays. Four layers, most trusted first: own terms, reviewed data
(``prices/data/*.yaml``, see docs/price-data.md), what ``prices update`` appended, and
genai-prices as shipped.

::

    book = PriceBook.standard()
    match book.find("openai", "gpt-4o", at_us, Asked(tier="batch"), usage):
        case Found(rates=rates, currency=currency): price(usage, rates, currency)
        case Missing(reason=reason): Cost.unknown(reason)
"""
