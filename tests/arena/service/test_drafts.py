"""Which drafts are forgotten when there are too many."""

from fastchat.arena.drafts import Drafts
from fastchat.arena.records import Conversation, Mode


def draft(number: int, voter_id: str = "ada") -> Conversation:
    return Conversation(str(number), "default", Mode.BATTLE, voter_id, (), 0.0, 0.0)


def kept(drafts: Drafts) -> list[int]:
    return [number for number in range(10) if str(number) in drafts]


def test_the_oldest_of_the_same_address_go_first() -> None:
    drafts = Drafts(most=10, most_of_an_address=2)
    drafts.add(draft(0), "home")
    for number in range(1, 6):
        drafts.add(draft(number), "flood")
    assert kept(drafts) == [0, 4, 5]


def test_there_is_an_end_to_all_of_them() -> None:
    drafts = Drafts(most=2, most_of_an_address=2)
    for number in range(4):
        drafts.add(draft(number), f"address {number}")
    assert kept(drafts) == [2, 3]


def test_what_is_removed_makes_room() -> None:
    drafts = Drafts(most=10, most_of_an_address=2)
    for number in range(6):
        drafts.add(draft(number, voter_id="ada" if number % 2 else "bob"), "office")
        if number < 4:
            drafts.remove(str(number))
    assert kept(drafts) == [4, 5]
    drafts.remove_of("ada")
    drafts.remove("nothing")
    assert kept(drafts) == [4]
