"""Writes a page for each dialect from its module: its address, its endpoints, its traps.

python tools/write_dialect_pages.py            writes docs/dialects/*.md
python tools/write_dialect_pages.py --check    ends with 1 if a page is out of date
"""

import re
import sys
from pathlib import Path

from flatfare.dialects.dialect import Dialect, Route
from flatfare.dialects.recognition import dialects

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "dialects"
MARK = "<!-- written by tools/write_dialect_pages.py from src/flatfare/dialects; edit the module -->\n"


def page(dialect: Dialect) -> str:
    """One provider's page."""
    lines = [
        MARK,
        f"# {dialect.provider}\n",
        "What to look out for in its answers:\n",
        dialect.traps.strip(),
        "",
    ]
    lines += ["| endpoint | path | |", "|---|---|---|"]
    rows = dict.fromkeys(
        f"| {route.endpoint} | `{plain(route.path)}` | {remark(route)} |" for route in dialect.routes
    )
    lines += [*rows, "", "Known at " + ", ".join(f"`{plain(host)}`" for host in dialect.hosts) + "."]
    return "\n".join(lines) + "\n"


def remark(route: Route) -> str:
    """Free and why, or whether it is streamed."""
    if route.free:
        return f"free: {route.free}"
    return "whole and streamed" if route.stream is not None else "whole"


def plain(pattern: str) -> str:
    """A pattern as a person reads it."""
    text = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"{\1}", pattern)
    text = text.replace("[^/]+", "…").replace("[^.]+", "…").replace("(?:", "(").replace("\\", "")
    return text.replace("|", "\\|")


def index() -> str:
    """The list of pages."""
    links = "\n".join(f"- [{name}]({name}.md)" for name in dialects())
    return f"{MARK}\n# Dialects\n\nOne page for each wire format, with the traps in it.\n\n{links}\n"


def pages() -> dict[Path, str]:
    """Every page by its file."""
    found = {FOLDER / f"{name}.md": page(dialect) for name, dialect in dialects().items()}
    return {FOLDER / "README.md": index(), **found}


def main() -> int:
    wanted = pages()
    stale = [
        path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv:
        print("\n".join(f"out of date: {path.relative_to(ROOT)}" for path in stale))
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for path in set(FOLDER.glob("*.md")) - set(wanted):
        path.unlink()
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    print(f"{len(wanted)} pages, {len(stale)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
