"""A log as an arena would have it after some batches of votes, and small ways to spoil it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fastchat.arena.transparency.heads import SignedTreeHead, Signer
from fastchat.arena.transparency.leaves import StoredLeaf, VoteLeaf
from fastchat.arena.transparency.merkle import MerkleTree
from fastchat.arena.transparency.receipts import Receipt

START = 1_790_000_000.25  # seconds
OUTCOMES = ("leftvote", "rightvote", "tievote", "bothbad_vote")


def signer(seed: int = 1) -> Signer:
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def leaf(number: int) -> VoteLeaf:
    return VoteLeaf(
        vote_id=f"vote-{number}",
        battle_id=f"battle-{number}",
        arena="main",
        mode="battle",
        outcome=OUTCOMES[number % 4],
        model_a="zürich-7b",
        model_b="smol",
        probability=1 / (number + 3),
        cast_at=START + 10 * number,
        digest=f"{number:064x}",
    )


class ExampleLog:
    """Votes one by one; a head after each batch, a second after the last vote it covers."""

    def __init__(
        self, batches: Sequence[int] = (1, 3, 4, 2), vote: Callable[[int], VoteLeaf] = leaf, seed: int = 1
    ) -> None:
        self.signer = signer(seed)
        self.key = self.signer.public
        self.tree = MerkleTree()
        self.leaves: list[StoredLeaf] = []
        self.heads: list[SignedTreeHead] = []
        for batch in batches:
            for _ in range(batch):
                vote_leaf = vote(len(self.leaves))
                self.leaves.append(StoredLeaf(len(self.leaves), vote_leaf, vote_leaf.leaf_hash))
                self.tree.append(vote_leaf.leaf_hash)
            self.heads.append(self.sign())

    def sign(self) -> SignedTreeHead:
        size = self.tree.size
        return self.signer.sign(size, self.tree.root(), START + 10 * (size - 1) + 1)

    def receipt(self, index: int, head: SignedTreeHead | None = None) -> Receipt:
        stored = self.leaves[index].leaf
        assert stored is not None
        return Receipt.issue(stored, index, self.tree, head or self.heads[-1])


def with_outcome(outcome: str, number: int, *, hash_too: bool = False) -> Callable[[list[StoredLeaf]], None]:
    def spoil(leaves: list[StoredLeaf]) -> None:
        old = leaves[number]
        assert old.leaf is not None
        changed = replace(old.leaf, outcome=outcome)
        leaves[number] = StoredLeaf(number, changed, changed.leaf_hash if hash_too else old.leaf_hash)

    return spoil
