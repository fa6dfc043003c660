from collections.abc import Mapping
from typing import Any

import pytest

from fastchat.core.errors import InvalidRequest
from fastchat.llm_judge.static.echo import Echo
from fastchat.llm_judge.static.texts import Likelihood, Post

TEXT = "Snow is white."
TOLD = {
    "text_offset": [0, 4, 7, 13, 14],
    "token_logprobs": [None, -2.0, -0.5, -0.25, -0.125],
    "top_logprobs": [None, {" was": -1.0}, {" white": -0.5}, {".": -0.25}, {"": -0.125}],
}


def echo(text: str = TEXT + "!", **told: Any) -> Echo:
    async def post(request: Post) -> Mapping[str, Any]:
        assert request.fields["prompt"] == TEXT
        return {"choices": [{"text": text, "logprobs": TOLD | told}]}

    return Echo("m", post)


@pytest.mark.parametrize(
    ("context", "found"),
    [
        ("Snow is", Likelihood(-0.75, True)),  # and nothing of the token that was made
        ("Snow", Likelihood(-2.75, False)),
        ("Snow is whi", Likelihood(-0.75, True)),  # the token is cut by the end of the context, and counts
    ],
)
async def test_an_ending_is_as_likely_as_its_tokens_together(context: str, found: Likelihood) -> None:
    assert await echo().likelihood((context, TEXT.removeprefix(context))) == found


@pytest.mark.parametrize(
    "server",
    [
        echo(text="!"),
        echo(text_offset=[14], token_logprobs=[-0.125], top_logprobs=[{}]),  # of the token that was made only
        echo(text_offset=None),
    ],
)
async def test_a_server_that_scores_nothing_is_found_out(server: Echo) -> None:
    with pytest.raises(InvalidRequest, match="does not score"):
        await server.likelihood(("Snow is", " white."))


async def test_a_text_without_a_context_needs_a_first_token_that_is_scored() -> None:
    with pytest.raises(InvalidRequest, match="first token"):
        await echo().likelihood(("", TEXT))
