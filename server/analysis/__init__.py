"""The study: pure functions from series to findings; no I/O, no clock."""
