"""What admins see and set, and that nobody else does."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.requests import Request

from fastchat.access.people import Visitor
from fastchat.arena.api import create_api
from fastchat.arena.records import Mode, Outcome
from fastchat.core.errors import AuthenticationFailed, NotEnoughModels, PermissionDenied, UnknownModel
from tests.arena.service.http import Caller, caller, serving
from tests.arena.service.stage import ADA, ADMIN, BOB, LEFT_NAME, RIGHT_NAME, Stage, stage, words
from tests.arena.service.test_screening import Watcher

PATHS = ("models", "battles", "votes", "flags", "actions", "conversations/x")
VISITORS = {"ada": ADA, "root": ADMIN}


def identify(request: Request) -> Visitor:
    return VISITORS.get(request.headers.get("x-name", ""), BOB)


@pytest.fixture
async def root(set_up: Stage) -> AsyncIterator[Caller]:
    app = FastAPI()
    app.include_router(create_api(set_up.arena, identify))
    async with serving(set_up, app=app) as url, caller(url) as root:
        root.session.headers["x-name"] = "root"
        yield root


async def test_it_is_for_admins_alone(set_up: Stage, root: Caller) -> None:
    for name, status, error in (("nobody", 401, AuthenticationFailed), ("ada", 403, PermissionDenied)):
        for path in PATHS:
            assert (await root.call("GET", f"/admin/{path}", headers={"x-name": name})).status == status
        changed = await root.call("PUT", f"/admin/models/{LEFT_NAME}", {"weight": 0}, headers={"x-name": name})
        reviewed = await root.call("POST", "/admin/flags/x/review", headers={"x-name": name})
        assert (changed.status, reviewed.status) == (status, status)
        with pytest.raises(error):
            set_up.arena.administration.live(VISITORS.get(name, BOB))
    assert await set_up.store.admin_actions() == []


async def test_what_an_admin_sets_holds_at_once_and_after_a_restart(set_up: Stage, root: Caller) -> None:
    before = {one["name"]: one for one in (await root.call("GET", "/admin/models")).json}
    assert before[LEFT_NAME] | {"settings": None} == {
        "name": LEFT_NAME,
        "is_served": True,
        "is_listed": True,
        "is_drawn": True,
        "can_see": False,
        "weight": 1,
        "votes": 0,
        "settings": None,
    }
    assert (await root.call("PUT", f"/admin/models/{LEFT_NAME}", {"is_out": True})).status == 204
    with pytest.raises(NotEnoughModels):
        await set_up.battle()
    await set_up.restart()
    with pytest.raises(NotEnoughModels):
        await set_up.battle()
    (status,) = [one for one in set_up.arena.administration.models(ADMIN, "default") if one.name == LEFT_NAME]
    assert (status.is_drawn, status.is_listed, status.weight) == (False, True, 0)
    (action,) = await set_up.arena.administration.actions(ADMIN)
    assert (action.login, action.subject) == ("root", LEFT_NAME)


async def test_settings_can_be_taken_back_and_have_to_make_sense(set_up: Stage, root: Caller) -> None:
    await root.call("PUT", f"/admin/models/{LEFT_NAME}", {"weight": 0})
    assert (await root.call("PUT", f"/admin/models/{LEFT_NAME}", {"weight": -1})).status == 400
    assert (await root.call("PUT", f"/admin/models/{LEFT_NAME}", {"wait": 1})).status == 400
    await root.call("PUT", f"/admin/models/{LEFT_NAME}", {})
    await set_up.battle()
    assert await set_up.store.model_settings("default") == {}


async def test_a_hidden_model_is_gone_for_all_but_admins(set_up: Stage, root: Caller) -> None:
    await root.call("PUT", f"/admin/models/{LEFT_NAME}", {"is_hidden": True})
    assert [one.name for one in set_up.arena.models(ADA, "default")] == [RIGHT_NAME]
    with pytest.raises(UnknownModel):
        await set_up.arena.start(ADA, "default", Mode.DIRECT, models=[LEFT_NAME])
    with pytest.raises(NotEnoughModels):
        await set_up.battle()
    assert len((await root.call("GET", "/admin/models")).json) == 2


async def test_settings_of_a_model_that_left_are_shown(set_up: Stage, root: Caller) -> None:
    await root.call("PUT", "/admin/models/org/gone-1", {"weight": 3})
    (gone,) = [one for one in (await root.call("GET", "/admin/models")).json if not one["is_served"]]
    assert (gone["name"], gone["settings"]["weight"]) == ("org/gone-1", 3)


async def test_battles_are_seen_with_names_while_they_are_answered(set_up: Stage, root: Caller) -> None:
    for name in (LEFT_NAME, RIGHT_NAME):
        set_up.models[name].held_before = 0
    draft = await set_up.arena.start(ADA, "default", Mode.BATTLE)
    await set_up.arena.ask(ADA, draft.conversation_id, words("Why?"))
    (live,) = (await root.call("GET", "/admin/battles")).json
    assert (live["conversation_id"], sorted(live["models"])) == (draft.conversation_id, [LEFT_NAME, RIGHT_NAME])
    seen = (await root.call("GET", f"/admin/conversations/{draft.conversation_id}")).json
    assert sorted(seen["models"]) == [LEFT_NAME, RIGHT_NAME]
    assert (seen["can_vote"], seen["vote_token"]) == (False, None)
    await set_up.arena.stop(ADA, draft.conversation_id)
    assert (await root.call("GET", "/admin/battles")).json == []


async def test_votes_are_seen_the_newest_first_also_after_a_restart(set_up: Stage, root: Caller) -> None:
    for outcome in (Outcome.LEFT, Outcome.TIE):
        battle = await set_up.battle()
        await set_up.arena.vote(ADA, battle.conversation_id, battle.vote_token or "", outcome)
    assert [vote["outcome"] for vote in (await root.call("GET", "/admin/votes")).json] == ["tievote", "leftvote"]
    assert len((await root.call("GET", "/admin/votes?limit=1")).json) == 1
    statuses = (await root.call("GET", "/admin/models")).json
    assert [one["votes"] for one in statuses] == [2, 2]
    await set_up.restart()
    assert [vote.outcome for vote in set_up.arena.administration.votes(ADMIN)] == [Outcome.TIE, Outcome.LEFT]


async def test_flags_are_looked_at(tmp_path: Path, empty_store: Path) -> None:
    watcher: Any = Watcher()
    async with stage(tmp_path, empty_store, moderators={"default": watcher}) as set_up:
        battle = await set_up.battle("An evil question")
        admin = set_up.arena.administration
        (flag,) = await admin.flagged(ADMIN, "default")
        assert (flag.conversation_id, flag.role, flag.moderator) == (battle.conversation_id, "user", "watcher")
        await admin.review(ADMIN, flag.judgement_id)
        assert await admin.flagged(ADMIN, "default") == []
        (reviewed,) = await admin.flagged(ADMIN, "default", is_reviewed=True)
        assert reviewed.reviewed_by == "root"


async def test_that_an_admin_read_a_conversation_is_noted(set_up: Stage, root: Caller) -> None:
    battle = await set_up.battle()
    assert (await root.call("GET", f"/admin/conversations/{battle.conversation_id}")).status == 200
    (action,) = (await root.call("GET", "/admin/actions")).json
    assert (action["login"], action["action"], action["subject"]) == (
        "root",
        "read_conversation",
        battle.conversation_id,
    )
