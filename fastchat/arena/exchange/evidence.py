"""What stands beside the log, held against it: is this still the conversation, voter, reasons and marks of that vote?

A leaf has a salted digest of them. Whoever has the store, and with it the salts, can compute it again, until a voter
has them erased. What was imported is left out: later imports may complete a conversation of FastChat's logs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hmac import compare_digest

from fastchat.arena.ballots import answered, asked
from fastchat.arena.exchange.judged import standing_turns
from fastchat.arena.exchange.stored_lines import is_imported
from fastchat.arena.records import Side
from fastchat.arena.store.reading import VotedConversation
from fastchat.arena.transparency.findings import LISTED, Finding, Problem
from fastchat.arena.transparency.leaves import SALT_BYTES, Erasable, conversation_hash, salted_digest


@dataclass(frozen=True, slots=True)
class Evidence:
    bound: int  # votes whose digest is that of what stands beside them
    erased: int  # votes that nothing can be said of any more
    imported: int
    changed: int
    problems: tuple[Problem, ...]  # the first `LISTED`


def examine(votes: Iterable[VotedConversation]) -> Evidence:
    bound = erased = imported = 0
    problems: list[Problem] = []
    changed = 0
    for voted in votes:
        if voted.salt is None:
            erased += 1
        elif voted.transcript is not None and is_imported(voted.transcript):
            imported += 1
        elif is_bound(voted):
            bound += 1
        else:
            changed += 1
            if changed <= LISTED:
                problems.append(_problem(voted))
    return Evidence(bound, erased, imported, changed, tuple(problems))


def is_bound(voted: VotedConversation) -> bool:
    """Needs the salt, so it ends with erasure."""
    if voted.salt is None or len(voted.salt) != SALT_BYTES or not _stands_as_it_was(voted):
        return False
    erasable = Erasable(
        voter=voted.voter_id,
        address_hash=voted.address_hash,
        conversation_hash=conversation_hash(list(_messages(voted))),
        reasons=voted.reasons,
        marks=tuple(sorted(voted.marks)),
        dwell_s=voted.dwell_s,
    )
    return compare_digest(voted.leaf.digest, salted_digest(voted.salt, erasable))


def _stands_as_it_was(voted: VotedConversation) -> bool:
    """What the digest does not say: who wrote an answer, which the leaf knows, and that nothing has taken its place."""
    models = {Side.LEFT: voted.leaf.model_a, Side.RIGHT: voted.leaf.model_b}
    turns = [(side, turn) for side in Side for turn in standing_turns(voted, side)]
    answers = [(side, turn.answer) for side, turn in turns if turn.answer is not None]
    return all(answer.model == models[side] and not answer.is_superseded for side, answer in answers) and not any(
        turn.question.is_superseded for _, turn in turns
    )


def _messages(voted: VotedConversation) -> Iterator[dict[str, object]]:
    sides = [standing_turns(voted, side) for side in Side]
    for left, right in zip(*sides, strict=True):
        yield asked(left.question.message_id, left.question.parts)
        for side, answer in ((Side.LEFT, left.answer), (Side.RIGHT, right.answer)):
            if answer is not None:
                yield answered(answer.message_id, side, answer.text, answer.reasoning)


def _problem(voted: VotedConversation) -> Problem:
    index, vote_id = voted.leaf.leaf_index, voted.leaf.vote_id
    message = (
        f"the conversation, voter, address, reasons, marks or dwell time beside vote {vote_id} at index {index} are "
        "not those that were bound to it when it was cast"
    )
    return Problem(Finding.CHANGED_CONTENT, message, index, vote_id)
