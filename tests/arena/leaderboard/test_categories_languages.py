"""Languages that are found, not told by a column."""

from pathlib import Path

import pytest

from fastchat.arena.leaderboard.categories import Sources, categories_of
from fastchat.arena.leaderboard.categories.label_file import open_labels
from fastchat.arena.leaderboard.categories.languages import code_of, detect, languages
from tests.arena.leaderboard.test_categories import votes

TEXTS = {
    "en": "Could you explain how a refrigerator works?",
    "de": "Kannst du mir bitte erklären, wie ein Kühlschrank funktioniert?",
    "fr": "Pouvez-vous m'expliquer comment fonctionne un réfrigérateur ?",
    "es": "¿Puedes explicarme cómo funciona un refrigerador?",
    "ru": "Можешь объяснить, как работает холодильник?",
    "zh": "请解释一下冰箱的工作原理",
    "ja": "冷蔵庫の仕組みを説明してください",
    "ko": "냉장고가 어떻게 작동하는지 설명해 주세요",
    "ar": "هل يمكنك أن تشرح لي كيف تعمل الثلاجة؟",
    "vi": "Bạn có thể giải thích tủ lạnh hoạt động như thế nào không?",
}


def test_languages_are_found() -> None:
    assert dict(zip(TEXTS, detect(list(TEXTS.values())), strict=True)) == {code: code for code in TEXTS}


@pytest.mark.parametrize(
    "text", ["hi", "2 + 2 = ?", "```python\ndef f(x):\n    return x\n```", "", "https://example.com/abcdefgh"]
)
def test_what_has_no_words_has_no_language(text: str) -> None:
    assert detect([text]) == [None]


@pytest.mark.parametrize(
    "text",
    ["write a shellscript configuration samba server", "Write a tongue twister about cats", "Fill the code: ```x```"],
)
def test_short_english_about_other_things_is_english(text: str) -> None:
    assert detect([text]) == ["en"]


def test_the_first_question_decides() -> None:
    table = votes([[TEXTS["de"], "a", TEXTS["en"], "b"], [TEXTS["en"], "a"], None])
    found = categories_of(table, ["german", "en"])
    assert found["german"].to_list() == [True, False, False]
    assert found["en"].to_list() == [False, True, False]


def test_what_was_found_is_kept_and_not_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "languages.jsonl"
    table = votes([[TEXTS["de"], "a"], ["hi", "a"]])
    sources = Sources(languages=file)
    assert categories_of(table, ["de"], sources)["de"].to_list() == [True, False]
    assert len(file.read_text().splitlines()) == 2
    monkeypatch.setattr("lingua.LanguageDetectorBuilder.from_iso_codes_639_1", None)
    assert categories_of(table, ["de"], sources)["de"].to_list() == [True, False]
    with open_labels(file) as labels:
        assert detect(["hi"], labels) == [None]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Chinese", "zh"),
        ("zh_Hant", "zh"),
        ("pt-BR", "pt"),
        ("Norwegian", "nb"),
        ("no", "nb"),
        ("code", None),
        ("unknown", None),
    ],
)
def test_names_and_codes_of_languages(name: str, code: str | None) -> None:
    assert code_of(name) == code


def test_lingua_knows_every_language_that_is_looked_for() -> None:
    from lingua import IsoCode639_1

    wanted = [one.code.upper() for one in languages() if one.is_detected]
    assert len(wanted) > 40
    assert all(hasattr(IsoCode639_1, code) for code in wanted)
