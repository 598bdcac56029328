"""The price book: dated, sourced rates as data, and finding the one that applies."""
