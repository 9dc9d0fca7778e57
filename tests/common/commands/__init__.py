"""Tests of common.commands."""
