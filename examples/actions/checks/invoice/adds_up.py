"""Ends with 0 where the lines of invoice.json add up to its total."""

import json
import sys
from decimal import Decimal
from pathlib import Path

invoice = json.loads(Path("invoice.json").read_text(encoding="utf-8"))
total = sum((Decimal(line["amount"]) for line in invoice["lines"]), Decimal(0))
if total != Decimal(invoice["total"]):
    sys.exit(f"The lines come to {total}, the invoice says {invoice['total']}.")
