"""Benchmarks: timings and detection rates, never asserted in tests."""
