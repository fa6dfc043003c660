"""Votes: on the disk before they are acknowledged, one a battle, in a log that proves them."""

import asyncio
import sqlite3
from dataclasses import replace

import pytest
from sqlalchemy import Connection, delete, event, text, update
from sqlalchemy.exc import OperationalError

from fastchat.arena.records import Mark, Outcome
from fastchat.arena.store import votes
from fastchat.arena.store.store import Ballot, CountedVote, Store, open_store, read_store
from fastchat.arena.store.tables import VOTES
from fastchat.arena.transparency.heads import Signer
from fastchat.arena.transparency.receipts import Receipt, verify_continuation, verify_receipt
from fastchat.core.errors import AlreadyVoted, InvalidRequest, NotFound, SetupError, StoreFailed
from tests.arena.store.stories import NOW, SIGNER, ballot, begun, opened


async def ballots(store: Store, number: int) -> list[Ballot]:
    voter_id = await store.voter_id("key", None)
    return [ballot(await begun(store, voter_id)) for _ in range(number)]


async def test_a_vote_is_there_with_its_receipt_after_a_restart(address: str) -> None:
    async with opened(address) as store:
        (first,) = await ballots(store, 1)
        receipt = await store.cast(first)
        assert verify_receipt(receipt, SIGNER.public).is_valid
        assert (receipt.leaf.vote_id, receipt.leaf.outcome, receipt.index) == (first.vote_id, "leftvote", 0)
    async with opened(address) as store:
        assert await store.receipt(vote_id=first.vote_id) == receipt
        conversation = await store.conversation(first.conversation_id)
        assert conversation is not None
        assert conversation.vote is not None
        assert (conversation.vote.vote_id, conversation.vote.outcome) == (first.vote_id, Outcome.LEFT)


async def test_votes_that_come_together_share_a_head_and_each_is_proven(address: str) -> None:
    async with opened(address) as store:
        cast = await ballots(store, 40)
        receipts = await asyncio.gather(*map(store.cast, cast))
        assert sorted(receipt.index for receipt in receipts) == list(range(40))
        assert all(verify_receipt(receipt, SIGNER.public).is_valid for receipt in receipts)
        verdict = await store.audit(SIGNER.public, receipts=receipts)
        assert verdict.is_valid
        assert verdict.leaves == verdict.signed_size == 40
        assert verdict.heads < 20  # all that waited, under one signature


async def test_a_second_vote_on_a_battle_tells_of_the_first(address: str) -> None:
    async with opened(address) as store:
        (first,) = await ballots(store, 1)
        receipt = await store.cast(first)
        with pytest.raises(AlreadyVoted) as refused:
            await store.cast(replace(first, vote_id="0" * 36, outcome=Outcome.RIGHT))
        assert refused.value.receipt == receipt
        assert refused.value.status == 409


async def test_of_two_votes_on_a_battle_at_once_one_counts(address: str) -> None:
    async with opened(address) as store:
        (first, other) = await ballots(store, 2)
        rivals = [replace(first, vote_id=f"{number:036}") for number in range(10)]
        results = await asyncio.gather(*map(store.cast, [*rivals, other]), return_exceptions=True)
        receipts = [result for result in results if isinstance(result, Receipt)]
        assert len(receipts) == 2
        told = {result.receipt.leaf.vote_id for result in results if isinstance(result, AlreadyVoted)}  # type: ignore[attr-defined]
        assert told == {receipts[0].leaf.vote_id}
        assert (await store.audit(SIGNER.public)).leaves == 2


async def test_who_stops_waiting_may_have_voted_and_can_learn_it(address: str) -> None:
    async with opened(address) as store:
        (first,) = await ballots(store, 1)
        voting = asyncio.create_task(store.cast(first))
        await asyncio.sleep(0)
        voting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await voting
        with pytest.raises(AlreadyVoted) as refused:
            await store.cast(first)
        assert isinstance(refused.value.receipt, Receipt)
        assert refused.value.receipt.leaf.vote_id == first.vote_id
        assert (await store.audit(SIGNER.public)).is_valid


async def test_a_vote_that_fails_spoils_no_other(address: str) -> None:
    async with opened(address) as store:
        cast = await ballots(store, 9)
        cast[4] = replace(cast[4], conversation_id="nowhere")
        results = await asyncio.gather(*map(store.cast, cast), return_exceptions=True)
        assert isinstance(results[4], InvalidRequest)
        assert sum(isinstance(result, Receipt) for result in results) == 8
        receipts = [result for result in results if isinstance(result, Receipt)]
        assert (await store.audit(SIGNER.public, receipts=receipts)).is_valid


async def test_other_work_that_fails_spoils_no_vote(address: str) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(text("DELETE FROM vote_details"))
        raise LookupError("of the test")

    async with opened(address) as store:
        first, second = await ballots(store, 2)
        results = await asyncio.gather(store.cast(first), store.write(fail), store.cast(second), return_exceptions=True)
        assert [type(result) for result in results] == [Receipt, LookupError, Receipt]
        voted = await store.conversation(first.conversation_id)
        assert voted is not None
        assert voted.vote is not None
        assert voted.vote.dwell_s is None


async def test_a_commit_that_fails_leaves_no_vote_behind_in_memory(address: str) -> None:
    def fail(_: Connection) -> None:
        raise OperationalError("COMMIT", None, Exception("disk I/O error"))

    async with opened(address) as store:
        first, second, third = await ballots(store, 3)
        kept = await store.cast(first)
        engine = await store.write(lambda connection: connection.engine)
        event.listen(engine, "commit", fail)
        with pytest.raises(StoreFailed, match="Try again"):
            await store.cast(second)
        event.remove(engine, "commit", fail)
        assert store.head() == kept.head
        receipt = await store.cast(third)
        assert receipt.index == 1
        verdict = await store.audit(SIGNER.public, receipts=[kept, receipt], saved_heads=[kept.head])
        assert verdict.is_valid
        assert verdict.leaves == 2


async def test_a_full_disk_fails_what_does_not_fit_and_nothing_else(sqlite_address: str) -> None:
    async with opened(sqlite_address) as store:
        first, second = await ballots(store, 2)
        pages = await store.write(lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        most = pages + 20
        await store.write(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={most}").scalar_one())
        upload = store.add_file("f", first.voter_id, bytes(1_000_000), "image/png", "big.png", None, NOW)
        results = await asyncio.gather(store.cast(first), upload, store.cast(second), return_exceptions=True)
        assert [type(result) for result in results] == [Receipt, StoreFailed, Receipt]
        assert (await store.audit(SIGNER.public)).is_valid


async def test_heads_continue_each_other(address: str) -> None:
    async with opened(address) as store:
        assert store.head() is None
        first, second = await ballots(store, 2)
        old = (await store.cast(first)).head
        await store.cast(second)
        proof = await store.continuation(old.tree_size)
        assert (proof.old, proof.new) == (old, store.head())
        assert verify_continuation(proof, SIGNER.public).is_valid
        with pytest.raises(NotFound):
            await store.continuation(77)
        with pytest.raises(NotFound):
            await store.receipt(vote_id="nobody's")


async def test_votes_are_replayed_in_the_order_of_the_log(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(votes, "_PAGE", 3)
    async with opened(address) as store:
        cast = await ballots(store, 7)
        for number, one in enumerate(cast):
            await store.cast(replace(one, model_a=f"model-{number}", marks=frozenset({Mark.EDITED})))
        await store.cast(replace(ballot(await begun(store, cast[0].voter_id)), arena="other"))
        seen: list[CountedVote] = []
        await store.replay_votes("default", seen.append)
        assert [vote.model_a for vote in seen] == [f"model-{number}" for number in range(7)]
        assert seen[0] == CountedVote(
            "default", "battle", Outcome.LEFT, "model-0", "beta", NOW, frozenset({Mark.EDITED})
        )
        everywhere: list[CountedVote] = []
        await store.replay_votes(None, everywhere.append)
        assert len(everywhere) == 8


@pytest.mark.parametrize(
    "change",
    [
        update(VOTES).where(VOTES.c.leaf_index == 1).values(leaf_hash=bytes(32)),
        delete(VOTES).where(VOTES.c.leaf_index == 2),
        text("DELETE FROM tree_heads"),
    ],
)
async def test_a_log_that_was_changed_is_not_added_to(address: str, change: object) -> None:
    async with opened(address) as store:
        for one in await ballots(store, 3):
            await store.cast(one)

        def tamper(connection: Connection) -> None:
            connection.execute(text("DELETE FROM vote_details"))
            connection.execute(change)  # type: ignore[call-overload]

        await store.write(tamper)
    with pytest.raises(SetupError, match="not those that were signed"):
        async with opened(address):
            pass
    async with read_store(address) as store:  # to see what is wrong
        assert not (await store.audit(SIGNER.public)).is_valid


async def test_an_outcome_that_was_changed_is_found_by_the_audit(sqlite_address: str) -> None:
    async with opened(sqlite_address) as store:
        for one in await ballots(store, 3):
            await store.cast(one)
    with sqlite3.connect(sqlite_address) as connection:
        connection.execute("UPDATE votes SET outcome = 'rightvote' WHERE leaf_index = 1")
    connection.close()
    async with opened(sqlite_address) as store:
        verdict = await store.audit(SIGNER.public)
        assert [problem.index for problem in verdict.problems] == [1]


async def test_another_key_is_another_log(address: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    async with opened(address) as store:
        (first,) = await ballots(store, 1)
        await store.cast(first)
    stranger = Signer.load(tmp_path_factory.mktemp("keys") / "log.pem")
    with pytest.raises(SetupError, match="signed with another key"):
        async with open_store(address, stranger):
            pass
