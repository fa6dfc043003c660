"""Single dollars around formulas, told apart from prices by pandoc's rule."""

import re

# `$x$` is a formula if no blank stands inside the dollars and no digit follows them; code is left as it is.
_CODE_OR_FORMULA = re.compile(
    r"(?P<code>```.*?(?:```|\Z)|`[^`\n]*`)|(?<![\\$\w])\$(?![\s$])(?P<formula>[^$\n]*[^$\s\\])\$(?![\d$])", re.DOTALL
)


def mark_formulas(text: str) -> str:
    r"""Rewrite `$x$` as `\(x\)`: the page takes only what cannot be mistaken as a formula, and `$` can."""
    if "$" not in text:  # nearly every answer; the pattern would read all of it at every update
        return text
    return _CODE_OR_FORMULA.sub(lambda found: found["code"] or rf"\({found['formula']}\)", text)
