"""Measures the aggregator as it runs, and other engines at the same work."""
