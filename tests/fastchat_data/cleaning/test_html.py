"""Saved pages become Markdown; what people wrote stays what they wrote."""

import pytest

from fastchat.data.cleaning.html import HtmlToMarkdown, markdown
from tests.fastchat_data.talks import talk

HEADER = '<div class="flex"><span>{}</span><button class="x"><svg><path/></svg>Copy code</button></div>'


def page(inside: str) -> str:
    return f'<div class="markdown prose">{inside}</div>'


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (
            f'<pre><div>{HEADER.format("python")}<code class="hljs language-python">x_1 = 1\n</code></div></pre>',
            "```python\nx_1 = 1\n```",
        ),
        (f"<pre><div>{HEADER.format('c++')}<code>int i;\n</code></div></pre>", "```c++\nint i;\n```"),
        ("<pre><code>plain &lt;b&gt;\n</code></pre>", "```\nplain <b>\n```"),
        ("<pre><button>Copy</button>old\n</pre>", "```\nold\n```"),
        ("<p><code>VA_AWT</code> and snake_case, 2 * 3 * 4</p>", "`VA_AWT` and snake_case, 2 * 3 * 4"),
        ("<ol><li>one</li></ol><p>so</p><ol start='2'><li>two</li></ol>", "1. one\n\nso\n\n2. two"),
        (
            "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>x | y</td></tr></tbody></table>",
            "| a      |\n| ------ |\n| x \\| y |",
        ),
        ("<p>a &lt; b &amp;&amp; c</p>", "a < b && c"),
        ("<span>2 / 3</span><p>Text</p>", "Text"),
        ("<p>2 / 3 of it</p>", "2 / 3 of it"),
        (
            '<p>So <span class="katex"><span class="katex-mathml"><math><mi>E</mi>'
            '<annotation encoding="application/x-tex">E^2</annotation></math></span>'
            '<span class="katex-html"><span>E</span><span>2</span></span></span>.</p>',
            "So $E^2$.",
        ),
    ],
)
def test_a_page_becomes_markdown(html: str, expected: str) -> None:
    found = markdown(page(html))
    assert found.replace(" --- ", " ------ ") == expected.replace(" --- ", " ------ ")


@pytest.mark.parametrize(
    "text",
    [
        "What does `List<int>` mean, and <b>?",
        "<div>Why is my page empty?</div>",
        "a < b and c > d",
        "Copy that!",
    ],
)
def test_what_people_wrote_is_left(text: str) -> None:
    assert HtmlToMarkdown().apply(talk(text, "Because of this: <br> is a tag.")) is None


def test_a_page_on_the_users_side_is_told_by_its_marks() -> None:
    found = HtmlToMarkdown().apply(talk('<div class="whitespace-pre-wrap"><p>Hi</p></div>', "Hello"))
    assert found is not None
    assert found.conversation.messages[0]["content"] == "Hi"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Do:\n```pythonCopy code\nx\n```", "Do:\n```python\nx\n```"),
        ("Do:\n```\njsCopy codex\n```", "Do:\n```js\nx\n```"),
        ("Do:\n```bashCopyEdit\nls\n```", "Do:\n```bash\nls\n```"),
        ("Copy12 chars / 3 wordsHello", "Hello"),
    ],
)
def test_buttons_in_text_are_removed(text: str, expected: str) -> None:
    found = HtmlToMarkdown().apply(talk("How?", text))
    assert found is not None
    assert found.conversation.messages[1]["content"] == expected


@pytest.mark.parametrize("piece", ["<pre>", "<button ", "<svg>", "<math ", "<span ", "<pre><code>", "</pre><pre>"])
def test_a_page_in_pieces_is_read_in_one_pass(piece: str) -> None:
    assert HtmlToMarkdown().apply(talk("Why?", f"<div>{piece * 100_000} / </div>")) is not None
