"""The text of a PDF, read in a process of its own: a file made to hang or to fill the memory ends alone."""

import json
import resource
import subprocess
import sys
from io import BytesIO

from flatfare.core.errors import BadInput, BadUsage

SECONDS = 60
MEMORY_BYTES = 1 << 30
PAGES_MAX = 5000


def pages_of(content: bytes, name: str) -> list[str]:
    """The text of each page; ``BadInput`` where the file is no PDF that can be read."""
    command = [sys.executable, "-m", "flatfare.runner.pdf_text"]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BadInput(f"{name} could not be read as a PDF within {SECONDS} s.") from None
    if done.returncode == 3:
        raise BadUsage("PDFs need pypdf: pip install 'flatfare[actions]'")
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it ended without a word"]
        raise BadInput(f"{name} could not be read as a PDF: {last[0][:200]}.")
    pages: list[str] = json.loads(done.stdout)
    if not any(page.strip() for page in pages):
        raise BadInput(
            f"{name} has no text: {len(pages)} pages of pictures. Give its text, or pages as images."
        )
    return pages


def main() -> int:
    """Read a PDF from stdin and write its pages to stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    try:
        import pypdf
    except ImportError:
        return 3
    document = pypdf.PdfReader(BytesIO(sys.stdin.buffer.read()))
    if len(document.pages) > PAGES_MAX:
        sys.exit(f"it has {len(document.pages)} pages, more than {PAGES_MAX}")
    json.dump([page.extract_text() or "" for page in document.pages], sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
