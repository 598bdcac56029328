"""Write the pictures of the dashboard that the docs show, from an invented firm's book in a real Chromium.

    PYTHONPATH=src python tools/write_pictures.py [FOLDER]

Run it after the pages look different: the README shows those in docs/pictures; ``make docs`` makes those of
the site anew by itself. They are not compared by a test, since fonts differ by machine.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from tests.web.browser.conftest import served  # noqa: E402
from tests.web.conftest import TOKEN  # noqa: E402
from tests.web.lively import lively  # noqa: E402

SHOWN = {
    "dashboard": "/",
    "dashboard-outcomes": "/outcomes",
    "dashboard-task": "the dearest task of a kind",
    "dashboard-budgets": "/budgets",
}
SIZE = {"width": 1280, "height": 860}


def main() -> None:
    """Write each picture, light and dark."""
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures")


def write(target: Path) -> None:
    """Write the pictures into a folder."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        sys.exit("No Chromium on this machine: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        settings = lively(Path(folder), time.time_ns() // 1000)
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = running.chromium.launch(executable_path=found, args=arguments)
        with served(settings) as address:
            for theme in ("light", "dark"):
                context = browser.new_context(viewport=SIZE, color_scheme=theme)
                page = context.new_page()
                page.goto(f"{address}/?token={TOKEN}")
                for name, path in SHOWN.items():
                    page.goto(address + _path_of(page, address, path), wait_until="load")
                    page.evaluate("Promise.all([...document.images].map((one) => one.decode()))")
                    page.screenshot(path=str(target / f"{name}{'' if theme == 'light' else '-dark'}.png"))
                context.close()
        browser.close()


def _path_of(page: Page, address: str, path: str) -> str:
    if path.startswith("/"):
        return path
    found = page.request.get(
        f"{address}/tasks.json?period=all&limit=1&sort=cost&filter=action%3Danswer-question"
    ).json()
    return f"/tasks/{found['tasks'][0]['task']}"


if __name__ == "__main__":
    main()
