"""Bytes against a running Bicorn: what other servers' test suites hold, and what fuzzers found."""
