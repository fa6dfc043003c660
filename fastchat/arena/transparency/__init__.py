"""The transparency log of votes: a Merkle tree after RFC 9162, signed heads, receipts, and an audit of all of it.

Knows no database. A store that writes votes does, with one writer: make a `VoteLeaf` for each vote of the batch,
`extend` the tree, sign one head, save votes, leaf hashes and head in one transaction, and hand out receipts after the
commit. If the commit fails, `truncate` the tree to where it was; if its fate is unknown, rebuild the tree from the
stored hashes before anything else is signed, or two histories would carry our signature. `verify.py` says what this
proves.
"""
