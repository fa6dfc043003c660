"""The part of the arena's API that is for admins. That nobody else gets in is seen to in `administration`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from fastchat.access.people import Visitor
from fastchat.arena.administration import LiveBattle, ModelStatus
from fastchat.arena.api_models import ArenaName
from fastchat.arena.config import DEFAULT
from fastchat.arena.contenders import ModelSettings
from fastchat.arena.records import Mark, Mode, Outcome
from fastchat.arena.service import Arena
from fastchat.arena.store.admin import AdminAction, Judgement
from fastchat.arena.views import ConversationView, View, named_view_of

Limit: TypeAlias = Annotated[int, Query(ge=1, le=1000)]


class VoteLine(View):
    arena: str
    mode: Mode
    outcome: Outcome
    model_a: str = Field(description="left")
    model_b: str
    cast_at: float
    marks: tuple[Mark, ...]


def admin_routes(router: APIRouter, arena: Arena, visitor: Callable[[Request], Awaitable[Visitor]]) -> None:
    admin = arena.administration
    Who: TypeAlias = Annotated[Visitor, Depends(visitor)]

    @router.get("/admin/models", summary="Models, how often they are drawn, and why", tags=["admin"])
    async def models(who: Who, arena_name: ArenaName = DEFAULT) -> list[ModelStatus]:
        return admin.models(who, arena_name)

    @router.put(
        "/admin/models/{model:path}", summary="Set weight, outage, boost of a model", tags=["admin"], status_code=204
    )
    async def set_model(who: Who, model: str, settings: ModelSettings, arena_name: ArenaName = DEFAULT) -> None:
        await admin.set_model(who, arena_name, model, settings)

    @router.get("/admin/battles", summary="What is being answered at this moment", tags=["admin"])
    async def battles(who: Who) -> list[LiveBattle]:
        return admin.live(who)

    @router.get("/admin/votes", summary="The newest votes", tags=["admin"])
    async def votes(who: Who, limit: Limit = 100) -> list[VoteLine]:
        return [
            VoteLine(
                arena=vote.arena,
                mode=Mode(vote.mode),
                outcome=vote.outcome,
                model_a=vote.model_a,
                model_b=vote.model_b,
                cast_at=vote.cast_at,
                marks=tuple(sorted(vote.marks)),
            )
            for vote in admin.votes(who, limit)
        ]

    @router.get("/admin/flags", summary="What moderators objected to", tags=["admin"])
    async def flags(
        who: Who, arena_name: ArenaName = DEFAULT, is_reviewed: bool = False, limit: Limit = 100
    ) -> list[Judgement]:
        return await admin.flagged(who, arena_name, is_reviewed=is_reviewed, limit=limit)

    @router.post("/admin/flags/{judgement_id}/review", summary="It has been looked at", tags=["admin"], status_code=204)
    async def review(who: Who, judgement_id: str) -> None:
        await admin.review(who, judgement_id)

    @router.get("/admin/conversations/{conversation_id}", summary="Anybody's conversation, with names", tags=["admin"])
    async def conversation(who: Who, conversation_id: str) -> ConversationView:
        return named_view_of(await admin.conversation(who, conversation_id))

    @router.get("/admin/actions", summary="What admins did", tags=["admin"])
    async def actions(who: Who, limit: Limit = 100) -> list[AdminAction]:
        return await admin.actions(who, limit)
