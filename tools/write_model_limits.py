"""Writes prices/data/limits.csv: how much each model reads and writes at most, from two public lists.

    python tools/write_model_limits.py PATH/model_prices_and_context_window.json

The first list is LiteLLM's price file (MIT), given as a path; the second genai-prices (MIT), as
installed. Where several hosts serve a model under one name, the largest figure stands: a bound
that is too high refuses too soon, one that is too low would let a budget be overspent.
"""

import csv
import json
import sys
from pathlib import Path

from genai_prices import data

from flatfare.prices.limits import bare_name

OUT = Path(__file__).resolve().parent.parent / "src/flatfare/prices/data/limits.csv"
TOKENS_MAX = 100_000_000  # larger figures are mistakes of the list


def main() -> None:
    found: dict[str, tuple[int, int]] = {}

    def take(name: str, reads: object, writes: object) -> None:
        sizes = [size if isinstance(size, int) and 0 < size < TOKENS_MAX else 0 for size in (reads, writes)]
        held = found.get(bare_name(name), (0, 0))
        if any(sizes):
            found[bare_name(name)] = (max(held[0], sizes[0]), max(held[1], sizes[1]))

    for name, entry in json.loads(Path(sys.argv[1]).read_text()).items():
        if name != "sample_spec" and isinstance(entry, dict):
            reads = entry.get("max_input_tokens") or entry.get("max_tokens")
            take(name, reads, entry.get("max_output_tokens"))
    for provider in data.providers:
        for model in provider.models:
            take(model.id, model.context_window, None)
    with OUT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("model", "reads", "writes"))
        writer.writerows((name, *sizes) for name, sizes in sorted(found.items()))
    print(f"{len(found)} models")


if __name__ == "__main__":
    main()
