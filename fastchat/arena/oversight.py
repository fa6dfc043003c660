"""For admins: how much is kept, and whether the log of votes is what was signed."""

from dataclasses import dataclass

from fastchat.access.people import Visitor
from fastchat.arena.answering import Clock
from fastchat.arena.ids import new_id
from fastchat.arena.store import admin, reading
from fastchat.arena.store.admin import AdminAction
from fastchat.arena.store.reading import Counts
from fastchat.arena.store.store import Store
from fastchat.arena.transparency.findings import Verdict
from fastchat.arena.transparency.heads import LogKey, SignedTreeHead


@dataclass(frozen=True, slots=True)
class Kept:
    counts: Counts
    head: SignedTreeHead | None  # the newest; None without votes


class Oversight:
    """Each method asks first whether the visitor is an admin: AuthenticationFailed, PermissionDenied."""

    def __init__(self, store: Store, log_key: LogKey, *, wall: Clock) -> None:
        self._store = store
        self._log_key = log_key
        self._wall = wall

    async def kept(self, who: Visitor) -> Kept:
        who.require_admin()
        return Kept(await self._store.read(reading.counts), self._store.head())

    async def audit(self, who: Visitor) -> Verdict:
        """Read the whole log and check it against its heads. Noted among the admins' actions."""
        person = who.require_admin()
        verdict = await self._store.audit(self._log_key)
        now = self._wall()
        details = {"is_valid": verdict.is_valid, "votes": verdict.leaves}
        await self._store.write(admin.note, AdminAction(new_id(now), person.name, "audit", "log", details, now))
        return verdict
