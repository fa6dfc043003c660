"""The API over real HTTP."""

import asyncio
import io
import json
from typing import Any

from fastapi import FastAPI
from PIL import Image

from fastchat.arena.api import PREFIX, create_api
from fastchat.core.errors import FastChatError
from tests.arena.service.http import Caller, caller, events, serving
from tests.arena.service.stage import LEFT_NAME, RIGHT_NAME, Stage


async def battle(set_up: Stage, who: Caller, question: str = "What is rain?") -> Any:
    """One that waits for its vote, as its voter sees it."""
    conversation_id = await who.start()
    last = events((await who.ask(conversation_id, question)).body)[-1]["conversation"]
    set_up.wall.advance(60)
    return last


async def test_a_battle_tells_no_name_before_the_vote_in_any_byte(set_up: Stage, ada: Caller) -> None:
    set_up.models[LEFT_NAME].refusal = (500, "worker_failed", f"{LEFT_NAME} of Example Labs is down")
    conversation_id = await ada.start()
    failed = events((await ada.ask(conversation_id)).body)[-1]["conversation"]
    assert not failed["can_vote"]
    set_up.models[LEFT_NAME].refusal = None
    await ada.call("POST", f"/conversations/{conversation_id}/regenerate")
    seen = events((await ada.call("GET", f"/conversations/{conversation_id}/follow")).body)[-1]["conversation"]
    for path in ("/conversations", f"/conversations/{conversation_id}", "/me", f"/conversations/{conversation_id}/x"):
        await ada.call("GET", path)
    for action, body in (("vote", {"token": "x", "outcome": "tievote"}), ("share", None), ("stop", None)):
        await ada.call("POST", f"/conversations/{conversation_id}/{action}", body)
    set_up.serve()
    await ada.call("POST", f"/conversations/{conversation_id}/regenerate")
    everything = b"\n".join(ada.received).lower()
    assert b"what is rain?" in everything
    for telltale in (LEFT_NAME, RIGHT_NAME, "aurora", "zephyr", "example labs", 'first_token_s":0', 'tokens":3'):
        assert telltale.encode() not in everything
    set_up.wall.advance(60)
    vote = {"token": seen["vote_token"], "outcome": "tievote", "reasons": ["both dry"]}
    voted = (await ada.call("POST", f"/conversations/{conversation_id}/vote", vote)).json
    assert sorted(voted["conversation"]["models"]) == [LEFT_NAME, RIGHT_NAME]
    vote_id = voted["receipt"]["leaf"]["vote_id"]
    receipt = (await ada.call("GET", f"/log/receipt/{vote_id}")).json
    assert receipt["leaf"] == voted["receipt"]["leaf"]


async def test_events_are_numbered_and_named(set_up: Stage, ada: Caller) -> None:
    set_up.models[LEFT_NAME].held_before = set_up.models[RIGHT_NAME].held_before = 0
    conversation_id = await ada.start()
    asking = asyncio.create_task(ada.ask(conversation_id))
    await set_up.followed(conversation_id)
    for name in (LEFT_NAME, RIGHT_NAME):
        set_up.models[name].go_on.set()
    reply = await asking
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    blocks = [block.splitlines() for block in reply.body.decode().strip().split("\n\n")]
    assert [block[0] for block in blocks] == [f"id: {number}" for number in range(len(blocks))]
    kinds = [block[1].removeprefix("event: ") for block in blocks]
    assert kinds == ["state", *["delta"] * (len(kinds) - 2), "state"]
    assert all(
        json.loads(block[2].removeprefix("data: "))["type"] == kind for block, kind in zip(blocks, kinds, strict=True)
    )
    assert all(set(event["text"]) == {"left", "right"} for event in events(reply.body)[1:-1])


async def test_a_silent_stream_is_kept_alive_by_comments_that_say_nothing(set_up: Stage) -> None:
    set_up.models[LEFT_NAME].held_before = set_up.models[RIGHT_NAME].held_before = 0
    async with serving(set_up, keep_alive_s=0.02) as url, caller(url) as ada:
        conversation_id = await ada.start()
        asking = asyncio.create_task(ada.ask(conversation_id))
        await set_up.models[LEFT_NAME].was_asked.wait()
        await asyncio.sleep(0.1)
        for name in (LEFT_NAME, RIGHT_NAME):
            set_up.models[name].go_on.set()
        reply = await asking
    comments = {line for line in reply.body.splitlines() if line.startswith(b":")}
    assert comments == {b": keep-alive"}


async def test_a_client_that_goes_away_no_longer_follows(set_up: Stage, ada: Caller) -> None:
    set_up.models[LEFT_NAME].held_before = set_up.models[RIGHT_NAME].held_before = 0
    conversation_id = await ada.start()
    asked = await ada.call("POST", f"/conversations/{conversation_id}/turns", {"question": "Why?"})
    assert (asked.status, asked.json["is_being_answered"]) == (202, True)
    live = set_up.arena._live.get(conversation_id)
    assert live is not None
    async with ada.session.get(f"{ada.url}{PREFIX}/conversations/{conversation_id}/follow") as response:
        await response.content.readuntil(b"\n\n")
        assert live.followers == 1
    async with asyncio.timeout(5):
        while live.followers:
            await asyncio.sleep(0.005)
    stopped = await ada.call("POST", f"/conversations/{conversation_id}/stop")
    assert {answer["ending"] for answer in stopped.json["turns"][0]["answers"]} == {"stopped"}


async def test_another_browser_finds_nothing_and_learns_nothing(set_up: Stage, url: str, ada: Caller) -> None:
    mine = await battle(set_up, ada)
    path = f"/conversations/{mine['conversation_id']}"
    message = mine["turns"][0]["answers"][0]["message_id"]
    vote = {"token": mine["vote_token"], "outcome": "leftvote"}
    async with caller(url) as bob:
        unknown = await bob.call("GET", "/conversations/no-such-id")
        for method, where, body in (
            ("GET", path, None),
            ("GET", f"{path}/follow", None),
            ("PATCH", path, {"title": "x"}),
            ("DELETE", path, None),
            ("POST", f"{path}/turns", {"question": "x"}),
            ("PUT", f"{path}/turns/0", {"question": "x"}),
            ("POST", f"{path}/stop", None),
            ("POST", f"{path}/regenerate", None),
            ("POST", f"{path}/vote", vote),
            ("POST", f"{path}/share", None),
            ("DELETE", f"{path}/share", None),
        ):
            reply = await bob.call(method, where, body)
            assert (method, where, reply.status, reply.json) == (method, where, 404, unknown.json)
        assert (await bob.call("PUT", f"/messages/{message}/rating", {"thumb": "upvote"})).status == 404
        assert (await bob.call("GET", "/conversations")).json == []
    assert (await ada.call("POST", f"{path}/vote", vote)).status == 200


REFUSALS = [
    ("POST", "/conversations", {"mode": "duel"}, 400, "mode"),
    ("POST", "/conversations", {"mode": "battle", "colour": 1}, 400, "colour"),
    ("POST", "/conversations", {"mode": "battle", "sampling": {"temperature": 9}}, 400, "sampling"),
    ("POST", "/conversations", {"mode": "battle", "sampling": {"max_tokens": 10**23}}, 400, "sampling"),
    ("POST", "/conversations", {"mode": "direct", "models": ["x"]}, 404, "model"),
    ("POST", "/conversations", {"mode": "battle", "arena": "x"}, 404, "arena"),
    ("POST", "/conversations", None, 400, None),
    ("GET", "/log/proof?old_size=99999999999999999999", None, 400, "old_size"),
    ("GET", "/conversations?limit=0", None, 400, "limit"),
    ("GET", "/models?arena=x", None, 404, "arena"),
    ("GET", "/questions/random", None, 404, "category"),
    ("GET", "/shared/x", None, 404, None),
    ("GET", "/files/x", None, 404, "file_id"),
    ("GET", "/log/receipt/x", None, 404, None),
]


async def test_errors_have_one_form(ada: Caller) -> None:
    for method, path, body, status, param in REFUSALS:
        reply = await ada.call(method, path, body)
        error = reply.json["error"]
        assert (path, reply.status, error["param"]) == (path, status, param)
        assert set(error) >= {"message", "type", "code", "param"}
        assert error["message"]


async def test_a_body_that_is_not_json_is_an_error_like_any_other(ada: Caller) -> None:
    for body in (b"{", b"\xff"):
        address = f"{ada.url}{PREFIX}/conversations"
        async with ada.session.post(address, data=body, headers={"content-type": "application/json"}) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid_value")


async def test_what_nobody_thought_of_is_an_error_like_any_other_and_tells_nothing(set_up: Stage, ada: Caller) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError(f"{LEFT_NAME} is behind it")

    set_up.store.conversation = fail  # type: ignore[method-assign]
    reply = await ada.call("GET", "/conversations/x")
    assert (reply.status, reply.json["error"]["code"]) == (500, "internal_error")
    assert LEFT_NAME.encode() not in reply.body


async def test_a_vote_too_early_says_when_to_come_again(set_up: Stage, ada: Caller) -> None:
    seen = await battle(set_up, ada)
    set_up.wall.advance(-60)
    vote = {"token": seen["vote_token"], "outcome": "leftvote"}
    reply = await ada.call("POST", f"/conversations/{seen['conversation_id']}/vote", vote)
    assert (reply.status, reply.json["error"]["code"], reply.headers["Retry-After"]) == (409, "not_now", "1")


async def test_the_life_of_a_conversation(set_up: Stage, ada: Caller, url: str) -> None:
    seen = await battle(set_up, ada, "One?")
    path = f"/conversations/{seen['conversation_id']}"
    assert (await ada.call("PUT", f"{path}/turns/0", {"question": [{"type": "text", "text": "Two?"}]})).status == 202
    seen = events((await ada.call("GET", f"{path}/follow")).body)[-1]["conversation"]
    set_up.wall.advance(60)
    assert (await ada.call("PATCH", path, {"title": "Mine"})).json["title"] == "Mine"
    await ada.call("POST", f"{path}/vote", {"token": seen["vote_token"], "outcome": "bothbad_vote"})
    (summary,) = (await ada.call("GET", "/conversations?search=mine")).json
    assert (summary["title"], summary["outcome"]) == ("Mine", "bothbad_vote")
    rating = await ada.call(
        "PUT", f"/messages/{seen['turns'][0]['answers'][0]['message_id']}/rating", {"thumb": "flag"}
    )
    assert rating.status == 204
    share = (await ada.call("POST", f"{path}/share")).json["path"].rpartition("/")[2]
    async with caller(url) as bob:
        assert (await bob.call("GET", f"/shared/{share}")).json["title"] == "Mine"
        assert (await ada.call("DELETE", f"{path}/share")).status == 204
        assert (await bob.call("GET", f"/shared/{share}")).status == 404
    assert (await ada.call("DELETE", path)).status == 204
    assert (await ada.call("GET", path)).status == 404


async def test_what_is_offered_and_agreed_to(ada: Caller) -> None:
    assert [one["name"] for one in (await ada.call("GET", "/models")).json] == [LEFT_NAME, RIGHT_NAME]
    (arena,) = (await ada.call("GET", "/arenas")).json
    assert (arena["name"], arena["modes"]) == ("default", ["battle", "side_by_side", "direct"])
    assert (await ada.call("GET", "/consent")).json["is_given"] is False
    assert (await ada.call("POST", "/consent", {"version": "1", "may_publish": True})).status == 204
    assert (await ada.call("GET", "/consent")).json["may_publish"] is True
    assert b"may_publish" in (await ada.call("GET", "/me")).body
    assert (await ada.call("DELETE", "/me")).status == 204
    assert (await ada.call("GET", "/consent")).json["is_given"] is False


async def test_a_file_is_sent_as_it_is_and_comes_back_harmless(ada: Caller) -> None:
    image = io.BytesIO()
    Image.new("RGB", (4, 4)).save(image, "PNG")
    address = f"{ada.url}{PREFIX}/files?name=cat.png"
    async with ada.session.post(address, data=image.getvalue(), headers={"content-type": "image/png"}) as response:
        assert response.status == 201
        part = (await response.json())["part"]
    assert (part["type"], part["name"]) == ("image", "cat.png")
    reply = await ada.call("GET", f"/files/{part['file_id']}")
    assert reply.body.startswith(b"\x89PNG")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in reply.headers["Content-Security-Policy"]
    async with ada.session.post(address, data=io.BytesIO(b"x" * (10 * 2**20 + 1))) as response:
        assert response.status == 413


async def test_the_log_can_be_watched(set_up: Stage, ada: Caller) -> None:
    assert (await ada.call("GET", "/log/head")).json is None
    for _ in range(2):
        seen = await battle(set_up, ada)
        vote = {"token": seen["vote_token"], "outcome": "leftvote"}
        await ada.call("POST", f"/conversations/{seen['conversation_id']}/vote", vote)
    assert (await ada.call("GET", "/log/head")).json["tree_size"] == 2
    proof = (await ada.call("GET", "/log/proof?old_size=1")).json
    assert (proof["old"]["tree_size"], proof["new"]["tree_size"]) == (1, 2)
    assert (await ada.call("GET", "/log/proof?old_size=9")).status == 404


async def test_everything_is_described(set_up: Stage, ada: Caller) -> None:
    document = (await ada.call("GET", "/openapi.json")).json
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) > 25
    assert all(operation["summary"] and operation["tags"] for operation in operations)
    assert "StateEvent" in document["components"]["schemas"]


async def test_errors_are_in_words_in_any_app(set_up: Stage) -> None:
    """The page's app has no edge of its own around the API."""

    def nobody(_: object) -> Any:
        raise FastChatError("who knows")

    app = FastAPI()
    app.include_router(create_api(set_up.arena, nobody))
    async with serving(set_up, app=app) as url, caller(url) as ada:
        reply = await ada.call("GET", "/models")
    assert (reply.status, reply.json["error"]["message"]) == (500, "who knows")
