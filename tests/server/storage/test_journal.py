"""What the journal says of changes, beside a list that is simply searched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.storage.journal import Journal

HOUR = 3_600_000
instants = st.integers(0, 5 * HOUR) | st.integers(0, 5).map(lambda h: h * HOUR)
spans = st.tuples(instants, instants).map(lambda pair: (min(pair), max(pair)))
changes = st.one_of(
    st.lists(instants, min_size=1, max_size=6), st.lists(spans, min_size=1, max_size=3), st.just("everything")
)


@given(st.lists(changes, max_size=12), st.data())
def test_never_misses_a_change_and_invents_none_while_it_remembers(steps: list[object], data: st.DataObject) -> None:
    kept = data.draw(st.sampled_from([4, 1000]))
    journal = Journal(kept=kept)
    noted: list[tuple[int, int] | None] = []
    marks = [(journal.mark, 0)]
    for step in steps:
        if isinstance(step, str):
            journal.note_everything()
            noted.append(None)
        elif isinstance(step, list) and isinstance(step[0], tuple):
            journal.note_spans(step)
            noted += step
        elif isinstance(step, list):
            journal.note(step)
            noted += [(at, at) for at in step]
        marks.append((journal.mark, len(noted)))
    mark, place = data.draw(st.sampled_from(marks))
    low, high = data.draw(spans)
    truth = any(one is None or (one[0] <= high and one[1] >= low) for one in noted[place:])
    said = journal.changed(mark, low / 1000, high / 1000)
    if len(noted) - place <= kept:
        assert said == truth
    else:
        assert said or not truth
        hours = range(low // HOUR, high // HOUR + 1)
        near = any(one is None or (one[0] // HOUR <= hours[-1] and one[1] // HOUR >= hours[0]) for one in noted[place:])
        assert said == near


def test_too_many_hours_count_as_a_change_everywhere() -> None:
    journal = Journal(hours=3)
    journal.note([0])
    mark = journal.mark
    journal.note([HOUR, 2 * HOUR])
    assert not journal.changed(mark, 0, 1)
    journal.note([3 * HOUR])
    assert journal.changed(mark, 0, 1)
    assert not journal.changed(journal.mark, 0, 1e6)
