"""What of `/api/arena/admin` is about the store: 401 without a login, 403 to everybody who is no admin."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Request

from fastchat.access.people import Visitor
from fastchat.arena.api import PREFIX, ErrorsInWords, Identify
from fastchat.arena.oversight import Oversight
from fastchat.arena.views import View


class HeadView(View):
    tree_size: int
    root_hash: str
    signed_at: float
    log_id: str


class StorageView(View):
    voters: int
    conversations: int
    erased: int
    messages: int
    votes: int
    head: HeadView | None


class AuditView(View):
    is_valid: bool
    votes: int
    heads: int
    signed_votes: int
    problems: tuple[str, ...]


def create_oversight_api(oversight: Oversight, identify: Identify) -> APIRouter:
    router = APIRouter(prefix=f"{PREFIX}/admin", route_class=ErrorsInWords, tags=["admin"])

    async def visitor(request: Request) -> Visitor:
        return identify(request)

    Who: TypeAlias = Annotated[Visitor, Depends(visitor)]

    @router.get("/storage", summary="How much is kept, and the newest signed head")
    async def storage(who: Who) -> StorageView:
        kept = await oversight.kept(who)
        head = kept.head and HeadView(
            tree_size=kept.head.tree_size,
            root_hash=kept.head.root_hash.hex(),
            signed_at=kept.head.signed_at,
            log_id=kept.head.log_id.hex(),
        )
        counts = kept.counts
        return StorageView(
            voters=counts.voters,
            conversations=counts.conversations,
            erased=counts.erased,
            messages=counts.messages,
            votes=counts.votes,
            head=head,
        )

    @router.post("/audit", summary="Check the whole log of votes against its signed heads")
    async def audit(who: Who) -> AuditView:
        verdict = await oversight.audit(who)
        return AuditView(
            is_valid=verdict.is_valid,
            votes=verdict.leaves,
            heads=verdict.heads,
            signed_votes=verdict.signed_size,
            problems=tuple(problem.message for problem in verdict.problems),
        )

    return router
