"""Which arenas a system has."""

from pathlib import Path

import pytest

from fastchat.arena.config import DEFAULT, ArenaFile
from fastchat.core.errors import SetupError
from fastchat.launcher.arenas import arenas_of, write_arenas
from fastchat.launcher.config import Config

OTHER = {"endpoint": "http://127.0.0.1:1/v1", "model": "other"}


def test_the_builtin_model_alone_gets_an_opponent_that_says_what_it_is() -> None:
    config = Config()

    ((name, variant),) = arenas_of(config)[DEFAULT].variants.items()

    assert variant.model == config.served[0].served_names[0]
    assert name.startswith(variant.model)
    assert name != variant.model
    assert variant.system


@pytest.mark.parametrize(
    "content",
    [
        {"models": [{"model": "builtin"}, OTHER]},
        {"models": [OTHER]},
        {"models": [{"model": "scripted"}]},
        {"arenas": {"default": {}}},
    ],
)
def test_who_chose_models_or_arenas_gets_no_other(content: dict[str, object]) -> None:
    assert all(not arena.variants for arena in arenas_of(Config.model_validate(content)).values())


def test_a_team_s_arena_stands_beside_the_first_opponent() -> None:
    config = Config.model_validate({"arenas": {"legal": {"title": "Legal"}}})

    assert set(arenas_of(config)) == {DEFAULT, "legal"}


def test_the_page_reads_what_was_written(tmp_path: Path) -> None:
    config = Config.model_validate({"arenas": {"legal": {"title": "Legal", "questions": "q.jsonl"}}})

    file = write_arenas(config, tmp_path / "arenas.json")

    assert ArenaFile.model_validate_json(file.read_bytes()).arenas == arenas_of(config)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"arenas\.json cannot be written"):
        write_arenas(Config(), tmp_path / "missing" / "arenas.json")
