"""Every family of scenarios by name."""

from __future__ import annotations

from server.simulator.healthy import HEALTHY
from server.simulator.leaking import LEAKING
from server.simulator.scenario import Family, Scenario, Terms, Truth

__all__ = ["FAMILIES", "Family", "Scenario", "Terms", "Truth"]

FAMILIES: dict[str, Family] = {family.name: family for family in (*LEAKING, *HEALTHY)}
