"""Which known names a misspelt one may have meant. Owns the wording; knows no option."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """At most two of ``known`` that look like ``name``, best first."""
    import difflib  # only an error needs it

    by_key = {candidate.casefold(): candidate for candidate in known}
    return [
        by_key[key] for key in difflib.get_close_matches(name.casefold(), by_key, n=2, cutoff=0.7)
    ]


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """``did you mean a or b?``, or ``otherwise`` where nothing is near."""
    names = nearest(name, known)
    return f"did you mean {' or '.join(names)}?" if names else otherwise
