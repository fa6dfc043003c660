"""What stands beside a vote is what it was cast on: through a real service, and after somebody wrote in its store."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing

import pytest

from fastchat.access.people import Visitor
from fastchat.arena.exchange.evidence import Evidence, examine
from fastchat.arena.records import Outcome
from fastchat.arena.store.reading import voted
from fastchat.arena.transparency.findings import Finding
from fastchat.arena.views import ConversationView
from tests.arena.service.stage import ADA, LEFT_NAME, Stage, words


async def examined(set_up: Stage) -> Evidence:
    return await set_up.store.read(lambda connection: examine(voted(connection)))


async def vote(set_up: Stage, battle: ConversationView, who: Visitor = ADA, reasons: Sequence[str] = ()) -> None:
    assert battle.vote_token is not None
    await set_up.arena.vote(who, battle.conversation_id, battle.vote_token, Outcome.LEFT, reasons=reasons)


async def test_whatever_happened_before_and_after_a_vote_it_is_bound_to_what_was_seen(set_up: Stage) -> None:
    plain = await set_up.battle("Plain?")
    await vote(set_up, plain)

    set_up.models[LEFT_NAME].pieces = ["A \0 and a lone \udc9f, ünd 🙂."]
    odd = await set_up.battle("Regenerated, edited, and in two turns?")
    await set_up.arena.regenerate(ADA, odd.conversation_id)
    await set_up.until_answered(odd.conversation_id)
    await set_up.arena.edit(ADA, odd.conversation_id, 0, words("Edited?"))
    await set_up.until_answered(odd.conversation_id)
    await set_up.arena.ask(ADA, odd.conversation_id, words("And more?"))
    odd = await set_up.until_answered(odd.conversation_id)
    await vote(set_up, odd, reasons=["clearer \0 and shorter"])
    await set_up.arena.regenerate(ADA, odd.conversation_id)
    await set_up.until_answered(odd.conversation_id)
    await set_up.arena.ask(ADA, odd.conversation_id, words("After the vote?"))
    await set_up.until_answered(odd.conversation_id)

    found = await examined(set_up)
    assert (found.bound, found.erased, found.changed) == (2, 0, 0)


async def test_what_was_erased_is_counted_and_accuses_nobody(set_up: Stage) -> None:
    await vote(set_up, await set_up.battle())
    gone = await set_up.battle()
    await vote(set_up, gone)
    await set_up.arena.delete(ADA, gone.conversation_id)
    found = await examined(set_up)
    assert (found.bound, found.erased, found.changed) == (1, 1, 0)


@pytest.mark.parametrize(
    "statement",
    [
        """UPDATE messages SET parts = '[{"type": "text", "text": "Never said."}]' WHERE role = 'assistant'""",
        """UPDATE messages SET parts = '[{"type": "text", "text": "Never asked."}]' WHERE role = 'user'""",
        "UPDATE messages SET reasoning = 'Never thought.' WHERE side = 'left'",
        "DELETE FROM messages WHERE side = 'right'",
        """UPDATE vote_details SET reasons = '["never given"]'""",
        """UPDATE vote_details SET marks = '["names_itself"]'""",
        "UPDATE vote_details SET dwell_s = 0.5",
        "UPDATE messages SET model = 'somebody-else' WHERE side = 'left'",
        "UPDATE messages SET is_superseded = 1 WHERE side = 'right'",
        "UPDATE vote_details SET address_hash = 'elsewhere'",
    ],
)
async def test_what_somebody_wrote_into_the_store_is_found(set_up: Stage, statement: str) -> None:
    await vote(set_up, await set_up.battle(), reasons=["clear"])
    await set_up.end()
    with closing(sqlite3.connect(set_up.folder / "arena.sqlite")) as database:
        assert database.execute(statement).rowcount >= 1
        database.commit()
    await set_up.begin()
    found = await examined(set_up)
    assert (found.bound, found.changed) == (0, 1)
    assert [problem.finding for problem in found.problems] == [Finding.CHANGED_CONTENT]
