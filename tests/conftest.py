"""How hypothesis looks for examples: the same ones in every run, however long a machine takes for each."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same")
