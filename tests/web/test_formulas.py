import pytest

from fastchat.web.formulas import mark_formulas


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("let $x$ be", r"let \(x\) be"),
        (r"$\frac{a}{b}$, then", r"\(\frac{a}{b}\), then"),
        ("$x_1$ and $y$", r"\(x_1\) and \(y\)"),
    ],
)
def test_single_dollars_around_a_formula_are_marked(text: str, marked: str) -> None:
    assert mark_formulas(text) == marked


@pytest.mark.parametrize(
    "text",
    [
        "it costs $5 or $10",
        "between $5 and $10 a month",
        "US$5 and US$6",
        r"an escaped \$x\$",
        "$$x$$",
        "`echo $HOME $PATH`",
        "```sh\necho $HOME:$PATH\n```",
        "```sh\necho $HOME:$PATH",  # the fence is still being written
        "one $ alone",
        "$ x $",
    ],
)
def test_prices_and_code_are_left_alone(text: str) -> None:
    assert mark_formulas(text) == text
