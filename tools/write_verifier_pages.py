"""Writes a page for each kind of verifier from its module's own description.

python tools/write_verifier_pages.py            writes docs/verifiers/*.md
python tools/write_verifier_pages.py --check    ends with 1 if a page is out of date
"""

import sys
from pathlib import Path

from flatfare.verifiers import kinds

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "verifiers"
MARK = "<!-- written by tools/write_verifier_pages.py from src/flatfare/verifiers; edit the module -->\n"
INDEX = """
A verdict names who judged, which version and on what evidence. The evidence holds digests and counts, never
the words that were judged. A check that cannot tell abstains, and an abstention is no pass.

    flatfare verifiers list
    flatfare verifiers check json-schema --output answer.json --params '{schema: {type: object}}'

People judge too, by [human review](../guides/reviews.md), and so do customers and other systems, by
[signals](../guides/signals.md). How often a judge errs is [measured](../guides/judges.md).
"""


def pages() -> dict[Path, str]:
    """Every page by its file."""
    names = kinds.names()
    links = "\n".join(
        f"- [{name}]({name}.md): {kinds.summary_of(kinds.named(name)).lower()}" for name in names
    )
    found = {
        FOLDER / f"{name}.md": f"{MARK}\n# {name}\n\n{kinds.page_of(kinds.named(name))}\n" for name in names
    }
    return {FOLDER / "README.md": f"{MARK}\n# Verifiers\n{INDEX}\n{links}\n", **found}


def main() -> int:
    late = [file for file, text in pages().items() if not file.exists() or file.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for file in late:
            print(f"{file.relative_to(ROOT)} is out of date: python tools/write_verifier_pages.py")
        return 1 if late else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
