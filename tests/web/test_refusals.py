"""What the arena refuses, said in the reader's language, kind by kind."""

import pytest

from fastchat.arena import battles
from fastchat.arena.failures import words_for
from fastchat.arena.scrubbing import SENTENCES
from fastchat.core.errors import (
    AlreadyVoted,
    FastChatError,
    InvalidRequest,
    NotEnoughModels,
    NotFound,
    NotNow,
    NoWorker,
    RateLimited,
    RequestTooLarge,
    StoreFailed,
)
from fastchat.web.refusals import failure, refusal
from fastchat.web.texts import Catalogue
from tests.arena.service.test_views import BATTLE, VOTED

CATALOGUE = Catalogue.load()
GERMAN = CATALOGUE.of("de")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AlreadyVoted(), "wurde schon abgestimmt"),
        (NotNow("Read both.", retry_after_s=2), "In 2 s kannst du abstimmen"),
        (RateLimited("Too often.", retry_after_s=7), "Versuch es in 7 s noch einmal"),
        (RequestTooLarge("The file is larger than 10 MB."), "Das ist zu groß"),
        (NotEnoughModels("Nobody."), "keine zwei Modelle"),
        (NoWorker("Nobody."), "Im Moment läuft kein Modell"),
        (StoreFailed("The disk is full."), "etwas schiefgegangen"),
        (NotFound("There is no such conversation. Start a new one."), "Dieses Gespräch gibt es nicht."),
    ],
)
def test_a_refusal_is_told_by_its_kind(error: FastChatError, said: str) -> None:
    assert said in refusal(error, GERMAN)
    assert refusal(error, CATALOGUE.of("en")).startswith(error.message)  # which knows more


def test_what_nobody_has_translated_is_marked_as_english() -> None:
    assert refusal(InvalidRequest("No <b>."), GERMAN) == '<span lang="en">No &lt;b&gt;.</span>'


def test_the_arenas_sentences_are_ours_word_for_word() -> None:
    """A sentence that is changed there is no longer found here."""
    refused = [
        _refused(lambda: battles.check_may_share(BATTLE)),
        _refused(lambda: battles.check_may_edit(VOTED, 0)),
    ]
    assert [GERMAN.of_english(sentence) for sentence in refused] == [
        GERMAN("error_share_first"),
        GERMAN("error_voted_on"),
    ]


def _refused(call: object) -> str:
    assert callable(call)
    with pytest.raises(NotNow) as refused:
        call()
    return refused.value.message


@pytest.mark.parametrize("kind", SENTENCES)
def test_a_failure_is_told_by_its_kind(kind: str) -> None:
    words = words_for(f"{kind}: secret-7b says no", is_blind=True)
    assert failure(words, GERMAN) == GERMAN.html(f"failure_{kind}")
    named = words_for(f"{kind}: CUDA <error>", is_blind=False)
    assert failure(named, GERMAN) == f'{GERMAN.html(f"failure_{kind}")} <span lang="en">(CUDA &lt;error&gt;)</span>'


def test_no_failure_speaks_of_a_battle() -> None:
    """The same sentences stand in chats with one model."""
    assert not [sentence for sentence in SENTENCES.values() if "battle" in sentence]


def test_an_imported_line_stays_as_it_is() -> None:
    assert failure("**NETWORK <ERROR>**", GERMAN) == "**NETWORK &lt;ERROR&gt;**"
