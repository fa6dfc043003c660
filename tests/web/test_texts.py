import json
from importlib.resources import files
from string import Formatter

import pytest

from fastchat.arena.config import Language
from fastchat.arena.failures import SENTENCES
from fastchat.arena.moderation.policy import NOTICES
from fastchat.web.texts import ENGLISH, Catalogue

LANGUAGES = Language.__args__  # type: ignore[attr-defined]  # a Literal's


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load()


def placeholders(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def test_every_language_an_arena_can_have_is_there(catalogue: Catalogue) -> None:
    assert sorted(catalogue.languages) == sorted(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_languages_say_the_same_things(catalogue: Catalogue, language: str) -> None:
    english, other = catalogue.of(ENGLISH).strings, catalogue.of(language).strings
    assert list(other) == list(english)
    assert {key: placeholders(text) for key, text in other.items()} == {
        key: placeholders(text) for key, text in english.items()
    }
    assert all(text.strip() == text and text for text in other.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_key_is_there_twice(language: str) -> None:
    text = (files("fastchat.web") / "texts" / f"{language}.json").read_text("utf-8")
    pairs = json.loads(text, object_pairs_hook=list)
    assert len(pairs) == len(dict(pairs))


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != ENGLISH])
def test_languages_are_translated(catalogue: Catalogue, language: str) -> None:
    """Some words are the same in two languages; most are not."""
    english, other = catalogue.of(ENGLISH).strings, catalogue.of(language).strings
    same = [key for key, text in other.items() if text == english[key]]
    assert len(same) <= 12, same


def test_failures_are_named_as_the_arena_names_them(catalogue: Catalogue) -> None:
    for kind, sentence in {**SENTENCES, **NOTICES}.items():
        assert catalogue.of(ENGLISH)(f"failure_{kind}") == sentence


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "de"),
        ("en;q=0.3, fr;q=0.9", "fr"),
        ("pt-PT,pt;q=0.9", "pt-BR"),
        ("zh", "zh-CN"),
        ("zh-Hans-CN", "zh-CN"),
        ("zh-TW,ja;q=0.5", "ja"),  # another script: rather the second choice
        ("ko-KR", "ko"),
        ("it, es;q=0.1", "es"),
        ("de;q=0, en", "en"),
        ("de;q=nonsense", "en"),
        ("*", "en"),
        ("", "en"),
    ],
)
def test_the_browser_chooses(catalogue: Catalogue, accepted: str, language: str) -> None:
    assert catalogue.best(accepted).language == language


def test_an_arenas_language_wins(catalogue: Catalogue) -> None:
    assert catalogue.best("de", fixed="ja").language == "ja"


def test_values_cannot_bring_markup(catalogue: Catalogue) -> None:
    assert catalogue.of("en").html("not_running", model="<b>${x}") == "&lt;b&gt;&#36;&#123;x&#125; (not running)"


def test_gradio_gets_what_stands_still(catalogue: Catalogue) -> None:
    given = catalogue.gradio_texts().translations
    assert given["de"]["send"] == "Senden"
    assert given["pt"] == given["pt-BR"]
    assert "fact_tokens" not in given["en"]  # it waits for a number
    fixed = catalogue.gradio_texts(fixed="fr").translations
    assert {texts["send"] for texts in fixed.values()} == {"Envoyer"}
