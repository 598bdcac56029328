"""Check every reviewed file and write the compact form that is read at start-up.

``python -m flatfare.prices.compile`` says which statement cannot be read, or what it wrote. With
``--ship`` it also copies the installed genai-prices into ``data/shipped``, whose change is then reviewed.
"""

import sys
from pathlib import Path

import msgspec

from flatfare.core.errors import BadInput
from flatfare.prices import genai
from flatfare.prices.catalogue import Catalogue, Trust
from flatfare.prices.layers import DATA, EXCHANGE_FILE, Compiled, compiled_path, fingerprint, read_yaml


def compiled(path: Path) -> bytes:
    """The compact form of a reviewed file; ``BadInput`` names the first statement that cannot be read."""
    written = path.read_bytes()
    content = read_yaml(written, path.name)
    if path.name != EXCHANGE_FILE:
        try:
            Catalogue(content, Trust.REVIEWED, "reviewed data").check()
        except BadInput as problem:
            raise BadInput(f"{path.name}: {problem}") from None
        if content.get("provider") != path.stem:
            raise BadInput(
                f"{path.name}: names the provider {content.get('provider')!r}: it is the file's name."
            )
    return msgspec.json.encode(Compiled(fingerprint(written), content)) + b"\n"


def ship(folder: Path) -> None:
    """Copy the installed genai-prices, one file per provider."""
    folder.mkdir(exist_ok=True)
    for provider, content in genai.catalogues().items():
        Catalogue(content, Trust.SHIPPED, "genai-prices").check()
        (folder / f"{provider}.json").write_bytes(genai.written(content))


def main(folder: Path = DATA) -> int:
    """Compile all; exit code 1 where a file cannot be read."""
    failed = 0
    for path in sorted(folder.glob("*.yaml")):
        try:
            content = compiled(path)
        except BadInput as problem:
            print(problem, file=sys.stderr)
            failed = 1
            continue
        target = compiled_path(path)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
        print(f"{path.name}: {len(content):,} bytes", file=sys.stderr)
    return failed


if __name__ == "__main__":
    if "--ship" in sys.argv[1:]:
        ship(DATA / "shipped")
    sys.exit(main())
