"""Checks that each relative link of a Markdown page leads to a file, and each page of docs/ is indexed.

Owns only that. It must not know what a page says, and never asks the network: an address of another
site is not checked.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INDEX = ROOT / "docs" / "README.md"
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
ELSEWHERE = re.compile(r"[a-z]+:")


def main() -> int:
    pages = markdown()
    faults = [*broken_links(pages), *not_indexed(pages)]
    for fault in faults:
        print(fault)
    if not faults:
        print(f"the links of {len(pages)} pages lead somewhere")
    return 1 if faults else 0


def markdown() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    listed = subprocess.run(
        [*command, "--", "*.md"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def broken_links(pages: list[Path]) -> Iterator[str]:
    for page in pages:
        for target in links(page):
            if not target.exists():
                leads = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
                yield f"{page.relative_to(ROOT)}: there is no {leads}"


def not_indexed(pages: list[Path]) -> Iterator[str]:
    """A page is found from the index, itself or through the folder that the index names."""
    indexed = set(links(INDEX))
    for page in pages:
        inside = page.is_relative_to(INDEX.parent) and page != INDEX
        if inside and indexed.isdisjoint({page, page.parent}):
            yield f"{INDEX.relative_to(ROOT)} does not name {page.relative_to(INDEX.parent)}"


def links(page: Path) -> list[Path]:
    targets = LINK.findall(page.read_text())
    return [(page.parent / target).resolve() for target in targets if not ELSEWHERE.match(target)]


if __name__ == "__main__":
    sys.exit(main())
