"""What was said comes back as it was said."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection, text

from fastchat.arena.records import (
    Consent,
    Ending,
    FilePart,
    Mark,
    Mode,
    Outcome,
    Sampling,
    Side,
    TextPart,
    Thumb,
)
from fastchat.core.errors import InvalidRequest, StoreFailed
from tests.arena.store.stories import NOW, answered, ballot, battle, begun, opened, question


async def test_a_conversation_comes_back_as_it_was(address: str) -> None:
    picture = FilePart(type="image", file_id="f" * 36, media_type="image/png", name="a.png")
    page = FilePart(type="file", file_id="e" * 36, media_type="application/pdf", text="ten pages")
    async with opened(address) as store:
        voter_id = await store.voter_id("key", None)
        begun_with = replace(
            battle(voter_id, question(picture, page, 'what is «this»? 这是什么\n"{}"'), title="Pictures"),
            system="be brief",
            sampling=Sampling(0.5, None, 100),
            marks=frozenset({Mark.PRESET_PROMPT, Mark.EDITED}),
            category="law",
            details={"from": ["elsewhere", 1, None]},
        )
        await store.begin(begun_with, "address")
        assert await store.conversation(begun_with.conversation_id) == begun_with
        first = answered(begun_with.turns[0], "a cat", "a dog")
        answered_once = replace(begun_with, turns=(first,), updated_at=NOW + 5, title="Cats")
        await store.save_answers(answered_once, first)
        assert await store.conversation(begun_with.conversation_id) == answered_once
        second = question("and why?", number=1, at=NOW + 9)
        asked_twice = replace(answered_once, turns=(first, second), updated_at=NOW + 9, marks=frozenset())
        await store.add_turn(asked_twice, second)
        assert await store.conversation(begun_with.conversation_id) == asked_twice
        assert await store.conversation_of_message(first.answers[1].message_id) == asked_twice
        assert await store.conversation_of_message(second.message_id) == asked_twice
    async with opened(address) as store:
        assert await store.conversation(begun_with.conversation_id) == asked_twice
        assert await store.conversation("nobody's") is None
        assert await store.conversation_of_message("nobody's") is None


async def test_direct_chats_and_named_battles(address: str) -> None:
    async with opened(address) as store:
        voter_id = await store.voter_id("key", None)
        direct = replace(battle(voter_id, question("hi")), mode=Mode.DIRECT, models=("alpha",), battle=None)
        await store.begin(direct, "address")
        left = answered(direct.turns[0], "hello", "").answers[0]
        turn = replace(direct.turns[0], answers=(left,))
        await store.save_answers(direct, turn)
        assert await store.conversation(direct.conversation_id) == replace(direct, turns=(turn,))


async def test_answers_that_were_being_written_were_interrupted(address: str) -> None:
    async with opened(address) as store:
        conversation = battle(await store.voter_id("key", None), question("hi"))
        writing = [replace(one, ending=None, text="") for one in answered(conversation.turns[0], "", "").answers]
        started = replace(conversation.turns[0], answers=tuple(writing))
        await store.begin(replace(conversation, turns=(started,)), "address")
        found = await store.conversation(conversation.conversation_id)
        assert found is not None
        assert [answer.ending for answer in found.turns[0].answers] == [Ending.INTERRUPTED] * 2
        finished = answered(conversation.turns[0], "left", "right")
        ended = [replace(new, message_id=old.message_id) for new, old in zip(finished.answers, writing, strict=True)]
        await store.save_answers(conversation, replace(finished, answers=tuple(ended)))
        found = await store.conversation(conversation.conversation_id)
        assert found is not None
        assert [(answer.text, answer.ending) for answer in found.turns[0].answers] == [
            ("left", Ending.COMPLETE),
            ("right", Ending.COMPLETE),
        ]


async def test_a_second_attempt_supersedes_the_first(address: str) -> None:
    async with opened(address) as store:
        conversation = await begun(store, await store.voter_id("key", None))
        again = answered(conversation.turns[0], "better", "best", attempt=2)
        await store.save_answers(conversation, again)
        assert await store.conversation(conversation.conversation_id) == replace(conversation, turns=(again,))


async def test_turns_that_were_taken_back_make_room(address: str) -> None:
    async with opened(address) as store:
        conversation = await begun(store, await store.voter_id("key", None))
        wrong = question("wrong", number=1)
        await store.add_turn(conversation, wrong)
        await store.save_answers(conversation, answered(wrong, "no", "no"))
        await store.supersede(conversation.conversation_id, 1)
        assert await store.conversation(conversation.conversation_id) == conversation
        right = question("right", number=1)
        await store.add_turn(conversation, right)
        assert await store.conversation(conversation.conversation_id) == replace(
            conversation, turns=(conversation.turns[0], right)
        )


async def test_the_vote_stands_with_the_conversation(address: str) -> None:
    async with opened(address) as store:
        conversation = await begun(store, await store.voter_id("key", None))
        cast = replace(ballot(conversation, Outcome.TIE, reasons=("both right",)), dwell_s=3.5)
        await store.cast(cast)
        found = await store.conversation(conversation.conversation_id)
        assert found is not None
        assert found.vote is not None
        assert (found.vote.outcome, found.vote.reasons, found.vote.dwell_s) == (Outcome.TIE, ("both right",), 3.5)
        assert not found.is_blind


async def test_thumbs_change_and_are_taken_back(address: str) -> None:
    async with opened(address) as store:
        voter_id = await store.voter_id("key", None)
        conversation = await begun(store, voter_id)
        message_id = conversation.turns[0].answers[0].message_id

        async def thumbs() -> list[Thumb | None]:
            found = await store.conversation(conversation.conversation_id)
            assert found is not None
            return [answer.thumb for answer in found.turns[0].answers]

        await store.rate(message_id, voter_id, Thumb.UP, ["clear"], NOW)
        await store.rate(message_id, voter_id, Thumb.DOWN, [], NOW + 1)
        assert await thumbs() == [Thumb.DOWN, None]
        await store.rate(message_id, voter_id, None, [], NOW + 2)
        assert await thumbs() == [None, None]
        with pytest.raises(InvalidRequest, match="does not exist"):
            await store.rate("nobody's", voter_id, Thumb.UP, [], NOW)


async def test_history_is_newest_first_searched_and_paged(address: str) -> None:
    async with opened(address) as store:
        mine, theirs = await store.voter_id("mine", None), await store.voter_id("theirs", None)
        for number, words in enumerate(("Über Katzen", "100% type_x", "plain", "about über")):
            await begun(store, mine, words, at=NOW + number, title=f"Talk {number}")
        await begun(store, mine, "elsewhere", arena="other")
        await begun(store, theirs, "not mine")

        async def titles(**wanted: object) -> list[str]:
            return [found.title for found in await store.summaries(mine, "default", **wanted)]  # type: ignore[arg-type]

        assert await titles() == ["Talk 3", "Talk 2", "Talk 1", "Talk 0"]
        assert await titles(limit=2) == ["Talk 3", "Talk 2"]
        assert await titles(before=NOW + 2) == ["Talk 1", "Talk 0"]
        assert await titles(search="über") == ["Talk 3", "Talk 0"]
        assert await titles(search="TALK 2") == ["Talk 2"]
        assert await titles(search="left of plain") == ["Talk 2"]
        assert await titles(search="100%") == ["Talk 1"]
        assert await titles(search="e_x") == ["Talk 1"]
        assert await titles(search="text") == []  # a word of the JSON around it
        assert await titles(search='"') == []


async def test_history_shows_outcomes(address: str) -> None:
    async with opened(address) as store:
        voter_id = await store.voter_id("key", None)
        voted = await begun(store, voter_id, at=NOW)
        await store.cast(ballot(voted, Outcome.BOTH_BAD))
        await begun(store, voter_id, at=NOW - 1)
        found = await store.summaries(voter_id, "default")
        assert [(one.mode, one.outcome) for one in found] == [(Mode.BATTLE, Outcome.BOTH_BAD), (Mode.BATTLE, None)]


async def test_shared_and_renamed(address: str) -> None:
    async with opened(address) as store:
        conversation = await begun(store, await store.voter_id("key", None))
        await store.set_share_id(conversation.conversation_id, "secret-link")
        await store.rename(conversation.conversation_id, "Named")
        shared = await store.shared("secret-link")
        assert shared is not None
        assert (shared.conversation_id, shared.title) == (conversation.conversation_id, "Named")
        await store.set_share_id(conversation.conversation_id, None)
        assert await store.shared("secret-link") is None


async def test_what_no_database_takes_is_replaced(address: str) -> None:
    async with opened(address) as store:
        voter_id = await store.voter_id("key", None)
        conversation = await begun(store, voter_id, "half \ud800 and \0 nothing 🙂", title="\0")
        found = await store.conversation(conversation.conversation_id)
        assert found is not None
        assert found.turns[0].question == (TextPart(text="half \ufffd and \ufffd nothing 🙂"),)
        assert found.title == "\ufffd"
        assert found.turns[0].answers[0].side is Side.LEFT
        assert [one.title for one in await store.summaries(voter_id, "default", search="nothing 🙂")] == ["\ufffd"]


def fail(connection: Connection, name: str) -> None:
    connection.execute(text("SELECT :name FROM nowhere"), {"name": name})


async def test_what_was_said_does_not_reach_the_log(address: str, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(address) as store:
        voter_id = await store.voter_id("key", None)
        conversation = await begun(store, voter_id, "my secret question", title="my secret title")
        with pytest.raises(InvalidRequest) as refused:
            await store.begin(conversation, "secret address")
        with pytest.raises(StoreFailed) as failed:
            await store.write(fail, "my secret name")
    assert "a row does not fit" in caplog.text
    assert "the database failed" in caplog.text
    causes = [refused.value.__cause__, failed.value.__cause__]
    assert causes[0] is None
    assert "secret" not in caplog.text + str(causes[1])


async def test_voters_keep_their_ids(address: str) -> None:
    async with opened(address) as store:
        guest = await store.voter_id("cookie", None)
        assert await store.voter_id("cookie", None) == guest
        assert await store.voter_id("other cookie", None) != guest
        assert await store.voter_id("cookie", "ada") == guest
        assert await store.voter_id("cookie", None) == guest
        everything = await store.everything_of(guest)
        assert everything["voter"][0]["login"] == "ada"


async def test_the_newest_consent_counts(address: str) -> None:
    async with opened(address) as store:
        voter_id = await store.voter_id("key", None)
        assert await store.consent(voter_id, "default") is None
        await store.add_consent(voter_id, "default", Consent("2", NOW, False))
        await store.add_consent(voter_id, "default", Consent("1", NOW - 5, True))
        assert await store.consent(voter_id, "default") == Consent("2", NOW, False)
        assert await store.consent(voter_id, "other") is None


async def test_files_are_kept(address: str) -> None:
    async with opened(address) as store:
        voter_id = await store.voter_id("key", None)
        content = bytes(range(256)) * 100
        await store.add_file("file", voter_id, content, "image/png", "a\0.png", None, NOW)
        assert await store.file("file") == (content, "image/png", voter_id)
        assert await store.file("nobody's") is None


async def test_what_admins_do_is_noted(address: str) -> None:
    async with opened(address) as store:
        await store.set_model_settings("default", "alpha", {"weight": 2}, login="ada", at=NOW)
        await store.set_model_settings("default", "alpha", {"weight": 3}, login="ada", at=NOW + 1)
        await store.set_model_settings("default", "beta", {"outage": True}, login="bob", at=NOW + 2)
        assert await store.model_settings("default") == {"alpha": {"weight": 3}, "beta": {"outage": True}}
        await store.set_model_settings("default", "beta", None, login="bob", at=NOW + 3)
        assert await store.model_settings("default") == {"alpha": {"weight": 3}}
        assert await store.model_settings("other") == {}
        noted = await store.admin_actions(limit=2)
        assert [(action.login, action.subject, action.details["settings"]) for action in noted] == [
            ("bob", "beta", None),
            ("bob", "beta", {"outage": True}),
        ]


async def test_flagged_messages_wait_for_an_admin(address: str) -> None:
    async with opened(address) as store:
        conversation = await begun(store, await store.voter_id("key", None))
        message_id = conversation.turns[0].message_id
        await store.add_judgement(message_id, "words", True, {"hate": ["word"]}, NOW)
        await store.add_judgement(conversation.turns[0].answers[0].message_id, "words", False, {}, NOW)
        (found,) = await store.flagged("default")
        assert (found.conversation_id, found.message_id, found.role) == (
            conversation.conversation_id,
            message_id,
            "user",
        )
        assert found.categories == {"hate": ["word"]}
        await store.review(found.judgement_id, "ada", NOW + 1)
        assert await store.flagged("default") == []
        assert [one.reviewed_by for one in await store.flagged("default", is_reviewed=True)] == ["ada"]
        assert (await store.admin_actions())[0].action == "review"
