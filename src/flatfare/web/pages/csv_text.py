"""Tables as comma-separated values.

Text that a spreadsheet would take for a formula stands behind an apostrophe.
"""

import csv
import io

from flatfare.web.pages.blocks import Csv


def csv_text(table: Csv) -> str:
    """The table with its header; None is an empty field."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([_field(row.get(name)) for name in table.columns])
    return buffer.getvalue()


def _field(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "@", "\t", "\r"):
        return "'" + value
    return value
