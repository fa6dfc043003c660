"""What voters and watchers keep: a receipt for one vote, and a proof that a later head continues an earlier one.

Both stand on their own: with the log's public key they can be checked without asking the operator anything.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastchat.arena.transparency.encoding import Hash
from fastchat.arena.transparency.heads import LogKey, SignedTreeHead
from fastchat.arena.transparency.leaves import VoteLeaf
from fastchat.arena.transparency.merkle import MerkleTree, verify_consistency, verify_inclusion
from fastchat.core.errors import SetupError


class Receipt(BaseModel):
    """Shows that a vote was in the log when its head was signed. Tells nothing about the voter but what they voted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["fastchat-vote-receipt/1"] = "fastchat-vote-receipt/1"
    leaf: VoteLeaf
    index: Annotated[int, Field(ge=0, description="place of the vote in the log, from 0")]
    path: Annotated[
        tuple[Hash, ...],
        Field(max_length=64, description="hashes that lead from the vote to the head's root, RFC 9162"),
    ]
    head: SignedTreeHead

    @staticmethod
    def issue(leaf: VoteLeaf, index: int, tree: MerkleTree, head: SignedTreeHead) -> "Receipt":
        """Not validated again: everything in it is ours."""
        path = tuple(tree.inclusion_path(index, head.tree_size))
        return Receipt.model_construct(leaf=leaf, index=index, path=path, head=head)


class ConsistencyProof(BaseModel):
    """Shows that the new head's log begins with the old head's: nothing was changed, dropped or put in between."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["fastchat-vote-consistency/1"] = "fastchat-vote-consistency/1"
    old: SignedTreeHead
    new: SignedTreeHead
    path: Annotated[tuple[Hash, ...], Field(max_length=65)]

    @staticmethod
    def issue(old: SignedTreeHead, new: SignedTreeHead, tree: MerkleTree) -> "ConsistencyProof":
        path = tuple(tree.consistency_path(old.tree_size, new.tree_size))
        return ConsistencyProof.model_construct(old=old, new=new, path=path)


@dataclass(frozen=True, slots=True)
class ProofVerdict:
    problems: tuple[str, ...]

    @property
    def is_valid(self) -> bool:
        return not self.problems


def verify_receipt(receipt: Receipt, key: LogKey) -> ProofVerdict:
    problems = _signature_problems([receipt.head], key)
    head = receipt.head
    if not verify_inclusion(receipt.leaf.leaf_hash, receipt.index, head.tree_size, receipt.path, head.root_hash):
        problems.append(
            f"vote {receipt.leaf.vote_id} is not at index {receipt.index} of the log that the head of size "
            f"{head.tree_size} signs"
        )
    return ProofVerdict(tuple(problems))


def verify_continuation(proof: ConsistencyProof, key: LogKey) -> ProofVerdict:
    problems = _signature_problems([proof.old, proof.new], key)
    old, new = proof.old, proof.new
    if old.tree_size > new.tree_size:
        problems.append(f"the log shrank from {old.tree_size} to {new.tree_size} votes")
    elif not verify_consistency(old.tree_size, new.tree_size, proof.path, old.root_hash, new.root_hash):
        problems.append(f"the head of size {new.tree_size} does not continue the head of size {old.tree_size}")
    return ProofVerdict(tuple(problems))


def _signature_problems(heads: Sequence[SignedTreeHead], key: LogKey) -> list[str]:
    return [
        f"the head of size {head.tree_size} is not signed by the log {key.log_id.hex()[:16]}"
        for head in heads
        if not key.has_signed(head)
    ]


class _Answer(BaseModel):
    """Of `POST …/vote`, of which nothing else matters here."""

    receipt: Receipt


def read_receipt(file: Path) -> Receipt:
    """Alone, or within the answer to a vote.

    Raises:
        SetupError: the file cannot be read or is not a receipt.
    """
    try:
        content = file.read_bytes()
        try:
            return _Answer.model_validate_json(content).receipt
        except ValidationError:
            return Receipt.model_validate_json(content)
    except OSError as error:
        raise SetupError(f"The receipt {file} cannot be read: {error.strerror or error}.") from None
    except ValidationError as error:
        raise SetupError(f"{file} is not a receipt of a vote: {in_words(error)}.") from None


def in_words(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    shown = f" ({json.dumps(first['input'], default=str)[:60]})" if first["type"] != "missing" and where else ""
    return f"{where + ': ' if where else ''}{first['msg']}{shown}"
