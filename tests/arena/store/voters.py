"""A process that 64 people vote in until it is killed: `python -m tests.arena.store.voters ADDRESS`.

Writes a line for each vote that was acknowledged: its id, in one write that a kill cannot cut.
"""

import asyncio
import os
import sys
from dataclasses import replace

from fastchat.arena.ids import new_id
from fastchat.arena.store.store import Ballot, Store
from tests.arena.store.stories import NOW, ballot, begun, opened


async def vote_without_end(store: Store, mine: Ballot) -> None:
    while True:
        receipt = await store.cast(replace(mine, vote_id=new_id(NOW), battle_id=new_id(NOW)))
        os.write(1, f"{receipt.leaf.vote_id}\n".encode())


async def main(address: str) -> None:
    async with opened(address) as store, asyncio.TaskGroup() as voters:
        for number in range(64):
            voter_id = await store.voter_id(f"voter {number}", None)
            voters.create_task(vote_without_end(store, ballot(await begun(store, voter_id))))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
