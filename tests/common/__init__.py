"""Tests of what agent and server share."""
