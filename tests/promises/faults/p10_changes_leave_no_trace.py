"""Changes of keys, budgets and guards are made and not put on record."""

from flatfare.store import chains

CAUGHT_BY = ("test_p10_past_settings.py::test_whatever_was_agreed_is_on_record",)

chains.record_change = lambda *_, **__: None
