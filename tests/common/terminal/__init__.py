"""Tests of common.terminal."""
