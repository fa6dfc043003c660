import pytest

from fastchat.ranking.markdown import markup


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("plain", (0, 0, 0, 0)),
        ("# One\n\n###### Six\n####### seven #", (2, 0, 0, 0)),
        ("- a\n  * b\n+ c\n1. d\n12) e\n-f", (0, 5, 0, 0)),
        ("**a** and __b__, **not\nthis** or ** **", (0, 0, 3, 0)),
        ("```\n# no header\n- no list\n```\n- one\n```py\n**open**", (0, 1, 0, 2)),
    ],
)
def test_markup_is_counted_outside_of_code(text: str, counts: tuple[int, ...]) -> None:
    assert tuple(markup(text)[name] for name in ("headers", "lists", "bold", "code")) == counts
