"""Ids that came before are known, however many there are."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fastchat.arena.transparency.seen import SeenIds


@settings(deadline=None)
@given(st.lists(st.text(alphabet="abc", max_size=4)))
def test_it_answers_as_a_set_would(ids: list[str]) -> None:
    seen, known = SeenIds(), set[str]()
    for text in ids:
        assert seen.add(text) == (text not in known)
        known.add(text)


def test_it_knows_all_of_many_in_little_memory() -> None:
    seen = SeenIds()
    assert all(seen.add(f"vote-{number}") for number in range(20_000))
    assert not any(seen.add(f"vote-{number}") for number in range(20_000))
    assert len(seen._slots) * 8 <= 24 * 20_000
