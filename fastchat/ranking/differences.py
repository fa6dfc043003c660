"""How two answers differ in style, as `fit_style` takes it: what published boards control for, and how they measure."""

from collections.abc import Mapping

import numpy as np

from fastchat.ranking.comparisons import Floats

# The covariates of published boards, and what is counted in all answers of a side for each.
STYLES: Mapping[str, str] = {"length": "tokens", "headers": "headers", "lists": "lists", "bold": "bold"}


def style_differences(columns: Mapping[str, Floats], *, plus: float = 0.0) -> dict[str, Floats]:
    """The covariates of STYLES from `tokens_a`, `tokens_b`, `headers_a` and so on, of which both sides are there.

    Tokens are those of all answers of a side. Headers are lines that begin with `#` to `######`, lists are lines that
    begin with a number or a bullet, bold is what `**` or `__` enclose; what stands in blocks of code does not count.
    """
    return {
        name: normalised_difference(columns[f"{counted}_a"], columns[f"{counted}_b"], plus=plus)
        for name, counted in STYLES.items()
        if f"{counted}_a" in columns and f"{counted}_b" in columns
    }


def normalised_difference(left: Floats, right: Floats, *, plus: float = 0.0) -> Floats:
    """(left - right) / (left + right + plus), less its mean, by its standard deviation.

    `plus` is 0 as LMSYS published it, where two nothings do not differ, or 1 as in FastChat's code, with which small
    counts differ less. Where a side is unknown (NaN), the votes' mean difference is taken.
    """
    total = left + right + plus
    share = np.divide(left - right, total, out=np.zeros(len(total)), where=total != 0)
    known = np.isfinite(share)
    if not known.any():
        return np.zeros(len(share))
    share -= share.mean(where=known)
    spread = np.sqrt(np.square(share).mean(where=known))
    return np.where(known & (spread > 0), share / (spread or 1.0), 0.0)
