"""Which fleets are judged: every family at every length that can show it, with seeds held apart for reporting."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from server.simulator.families import FAMILIES, Scenario, Terms
from server.simulator.fleet import FleetSpec
from server.simulator.processes import generator

__all__ = ["FORMS", "REPORTING", "TUNING", "Case", "Form", "build", "cases", "healthy_twin", "shows"]

TUNING, REPORTING = 10_000, 160_000_000
"""First seeds: whoever changes the analysis looks at the tuning seeds only; the tables in the docs use the others, from
120 million on since those from 20 to 110 million on have been looked at."""
FEWEST_AFTER_ONSET = 10
SIZES = (6, 3, 12, 6, 4, 20)
"""Nodes, by the number of the seed; some families bring a size of their own."""
REPLAYED_SIZES = (6, 3, 12, 50, 4, 30, 20)
"""The same of healthy fleets that are replayed."""
LEAST_NODES = {"on-two": 6, "on-half": 4, "deploy": 4, "rolling-upgrade": 4}
HUGE = frozenset({"one-in-500", "quiet-500"})
SEEDS_EACH = 1000
"""Seeds kept for one round of all families."""
LEAST = 0.06
"""The least strength of a leak: most are then still fast enough to matter."""
EVERY = 10
"""The huge fleets come once at every length in so many rounds."""


@dataclass(frozen=True, slots=True)
class Form:
    """How long a fleet is watched, and how often."""

    name: str
    hours: float
    interval: float
    """Seconds."""


FORMS = (
    Form("15 min at 8 s", 0.25, 8.0),
    Form("24 h at 1 min", 24.0, 60.0),
    Form("24 h at 10 min", 24.0, 600.0),
    Form("7 d at 1 h", 168.0, 3600.0),
)
REPLAYED = {form.name: form for form in (Form("3 d at 10 min", 72.0, 600.0), Form("2 d at 10 min", 48.0, 600.0))}


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario to build: plain data, so that it can be told and repeated."""

    family: str
    form: Form
    seed: int
    nodes: int
    strength: float = 1.0
    replayed: bool = False
    """Judged every hour, not once at the end."""

    def __str__(self) -> str:
        terms = f"Terms({self.seed}, {self.form.hours:g}, {self.form.interval:g}, {self.nodes}, {self.strength:.4g})"
        return f'FAMILIES["{self.family}"].build({terms})'


def build(case: Case) -> Scenario:
    """The case's fleet and its truth."""
    terms = Terms(case.seed, case.form.hours, case.form.interval, case.nodes, case.strength)
    return FAMILIES[case.family].build(terms)


def healthy_twin(spec: FleetSpec) -> FleetSpec:
    """The same fleet without its leak: every other number is the same."""
    return replace(spec, leaks=())


def cases(first_seed: int, seeds: int, families: Collection[str] = (), forms: Collection[str] = ()) -> Iterator[Case]:
    """All cases, seed by seed, so that a run that is cut short has seen every family; the dear ones last."""
    wanted = set(families or FAMILIES)
    for number in range(seeds):
        dear: list[Case] = []
        for index, family in enumerate(FAMILIES.values()):
            if family.name not in wanted:
                continue
            # A seed of its own for every fleet: two of one seed would wander alike and not count as two.
            seed = first_seed + number * SEEDS_EACH + index * (len(FORMS) + 1)
            least = LEAST_NODES.get(family.name, 2)
            nodes = max(SIZES[number % len(SIZES)], least)
            huge = family.name in HUGE
            for place, form in enumerate(FORMS):
                if forms and form.name not in forms:
                    continue
                # Every other leak is made smaller at random, for the curve of recall against size.
                smaller = family.leaks and number % 2 == 1
                strength = float(LEAST ** generator(seed, "strength", place).random()) if smaller else 1.0
                case = Case(family.name, form, seed + place, nodes, strength)
                if huge and number % EVERY == place and shows(case):
                    dear.append(case)
                elif not huge and shows(case):
                    yield case
            if not huge and (families or (index + number) % 8 == 0):
                form = REPLAYED["2 d at 10 min" if family.leaks else "3 d at 10 min"]
                replay = nodes if family.leaks else max(REPLAYED_SIZES[number % len(REPLAYED_SIZES)], least)
                dear.append(Case(family.name, form, seed + len(FORMS), replay, replayed=True))
        yield from dear


def shows(case: Case) -> bool:
    """Whether the form can show the family: at least ten samples follow the onset within the last boot."""
    if case.form.hours < FAMILIES[case.family].least_hours:
        return False
    for leak in (scenario := build(case)).spec.leaks:
        reboots = [r.at for node in scenario.spec.nodes if node.name in leak.nodes for r in node.reboots]
        begun = max(leak.at, 0.0, *reboots)
        ended = case.form.hours if leak.until is None else min(leak.until, case.form.hours)
        if (ended - begun) * 3600 / case.form.interval < FEWEST_AFTER_ONSET:
            return False
    return True
