"""Gunicorn's own request files against a running Bicorn: the valid parsed alike, the invalid refused.

Owns the table of where we differ on purpose. Each difference has its reason, and one that is not there
any more fails.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.protocol.echo import Answer, Echo, Served
from tests.protocol.gunicorn_cases import HOST, Case, cases, with_host

VALID, INVALID = 62, 81

CODINGS = (
    "chunked is the one transfer coding that is implemented: RFC 9112 section 6.1 asks for 501"
)
CONNECT = "there is no tunnel to give: RFC 9110 section 9.3.6"
FOLDING = "a folded line is refused, with no setting to allow it: RFC 9112 section 5.2"
PROXY = "the PROXY protocol is not spoken on this listener"
FIELD_SIZE = "the bound is on the header section (64 KiB), not on each field in it"
UNDERSCORES = "a name with an underscore is dropped, so that it aliases no environ key"
TRAILERS = (
    "trailers are checked and dropped, so none can reach the application: RFC 9110 section 6.5.1"
)

DEVIATIONS: dict[str, tuple[int | None, str]] = {
    # Valid there: the status of our last answer (None: the connection ends without one), and why.
    "valid/005": (400, "a fragment is no part of a request target: RFC 9112 section 3.2"),
    "valid/025": (501, CODINGS),
    "valid/025_line": (501, CODINGS),
    "valid/028": (400, "white space before the colon, with no setting to allow it: RFC 9112 5.1"),
    "valid/029": (501, CODINGS),
    "valid/030": (501, CODINGS),
    "valid/031compat": (
        200,
        "a method is never changed: it is case-sensitive, RFC 9110 section 9.1",
    ),
    "valid/040_compat": (200, UNDERSCORES),
    "valid/099": (
        None,
        "the peer leaves before the body has its Content-Length: RFC 9112 section 8",
    ),
    "valid/compat_obs_fold": (400, FOLDING),
    "valid/compat_obs_fold_huge": (400, FOLDING),
    "valid/pp_01": (400, PROXY),
    "valid/pp_02": (400, PROXY),
    "valid/pp_04": (400, PROXY),
    "valid/pp_05": (400, PROXY),
    "valid/rfc9112_smuggle_gzip_chunked_01": (501, CODINGS),
    "valid/rfc9112_smuggle_te_identity_chunked_01": (501, CODINGS),
    "valid/rfc9112_target_absolute_userinfo_01": (
        400,
        "user information hides which host is meant: RFC 9110 section 4.2.4",
    ),
    "valid/rfc9112_target_authority_connect_01": (501, CONNECT),
    "valid/rfc9112_target_authority_ipv6_01": (501, CONNECT),
    # Invalid there, and answered here.
    "invalid/003c": (200, "any token is a method: RFC 9110 section 9.1"),
    "invalid/006": (
        200,
        "the request line may have 8 KiB: RFC 9112 section 3 asks for 8000 octets",
    ),
    "invalid/007": (200, FIELD_SIZE),
    "invalid/008": (200, FIELD_SIZE),
    "invalid/010": (200, FIELD_SIZE),
    "invalid/011": (200, "a setting of that case allows two fields; ours allows a hundred"),
    "invalid/012": (200, FIELD_SIZE),
    "invalid/017": (200, FIELD_SIZE),
    "invalid/019": (200, "whether a forwarded scheme is believed is not the parser's to say"),
    "invalid/040": (200, UNDERSCORES),
    "invalid/041": (200, "a repeated Content-Type changes no framing: the application's to judge"),
    "invalid/chunked_07": (200, UNDERSCORES),
    "invalid/limit_header_default_01": (200, FIELD_SIZE),
    "invalid/rfc9110_trailer_forbidden_cl_01": (200, TRAILERS),
    "invalid/rfc9110_trailer_forbidden_host_01": (200, TRAILERS),
    "invalid/rfc9110_trailer_forbidden_te_01": (200, TRAILERS),
}


@pytest.mark.timeout(300)
def test_requests_are_parsed_or_refused_as_gunicorn_does(
    served: Served, sdist: Callable[[str], Path], subtests: pytest.Subtests
) -> None:
    known = list(cases(sdist("gunicorn") / "tests" / "requests"))
    kinds = [case.name.partition("/")[0] for case in known]
    assert (kinds.count("valid"), kinds.count("invalid")) == (VALID, INVALID)
    assert DEVIATIONS.keys() <= {case.name for case in known}
    for case in known:
        with subtests.test(case=case.name):
            data = with_host(case.data)
            answers = served.exchange([data])
            judge(case, answers)
            by_byte = served.exchange(bytes([byte]) for byte in data)
            assert by_byte == answers
    assert served.errors == []


def judge(case: Case, answers: list[Answer]) -> None:
    agrees = is_alike(case, answers) if case.expected else is_refused(answers)
    if case.name not in DEVIATIONS:
        assert agrees, answers
        return
    status, _reason = DEVIATIONS[case.name]
    assert not agrees, "this deviation is gone: take it out of the table"
    assert (answers[-1].status if answers else None) == status


def is_alike(case: Case, answers: list[Answer]) -> bool:
    """Whether each request was parsed as expected, but for the Host that we added."""
    wanted = [Echo(**vars(expected)) for expected in case.expected]
    return [answer.echo and without_host(answer.echo) for answer in answers] == wanted


def without_host(echo: Echo) -> Echo:
    return replace(echo, headers=[header for header in echo.headers if header != HOST])


def is_refused(answers: list[Answer]) -> bool:
    """Whether it ended in a refusal, or without an answer where the peer left in the middle."""
    return not answers or answers[-1].status >= 400
