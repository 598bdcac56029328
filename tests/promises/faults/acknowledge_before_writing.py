"""A journal that says at once that it has kept a record, and writes it a little later."""

from flatfare.gateway.journal import Journal

_write = Journal.write


def _acknowledge_first(journal, record, on_kept=None):
    if on_kept is not None:
        journal._loop.call_soon(on_kept, None)
    journal._loop.call_later(0.1, _write, journal, record)


Journal.write = _acknowledge_first
