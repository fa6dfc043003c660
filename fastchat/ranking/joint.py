"""What fits share that find strengths together with other unknowns, or from more than counts of pairs.

All unknowns stand in one vector, the strengths first. A vote's design is 1 at the left model, -1 at the right one, and
behind them what else it depends on.
"""

import numpy as np

from fastchat.ranking.comparisons import Floats
from fastchat.ranking.likelihood import laplacian


def summed_squares(pairs: Floats, cross: Floats, others: Floats) -> Floats:
    """(unknowns, unknowns): sum over votes of a number times xx', where x is the vote's design.

    `pairs` (models, models) are the sums of the number by left and right model, `cross` (others, models, models) those
    of the number times what else the vote depends on, `others` (others, others) those times the product of two of it.
    """
    beside = difference_by_model(cross)
    return np.block([[laplacian(pairs + pairs.T), beside.T], [beside, others]])


def difference_by_model(pairs: Floats) -> Floats:
    """(…, models): what each has on the left, less what it has on the right, of (…, models, models)."""
    result: Floats = pairs.sum(axis=-1) - pairs.sum(axis=-2)
    return result
