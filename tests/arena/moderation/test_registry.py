import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from fastchat.arena.moderation.base import Judgement, Role, Spec, Surroundings
from fastchat.arena.moderation.combined import Combined
from fastchat.arena.moderation.registry import GROUP, load, moderator_names, parse
from fastchat.core.errors import SetupError

OURS = ("classifier", "none", "openai", "words")


class Strict:
    """A stranger's moderator: it flags everything."""

    sees_images = True

    async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
        return Judgement("strict", is_flagged=True, categories={"all": 0.5})


class Broken:
    sees_images = False

    async def check(self, text: str, images: Sequence[str] = (), *, role: Role) -> Judgement:
        raise ValueError(text)


async def load_strict(spec: Spec, around: Surroundings) -> Strict:
    return Strict()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with a moderator of its own, as pip would leave it behind."""
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nstrict = {__name__}:load_strict\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_ours_are_found_like_anybodys() -> None:
    assert set(OURS) <= set(moderator_names())


@pytest.mark.usefixtures("installed")
async def test_a_strangers_moderator_is_loaded(around: Surroundings) -> None:
    moderator = await load(["strict"], around)
    assert (await moderator.check("Hello", role="user")).is_flagged
    assert moderator.sees_images


@pytest.mark.usefixtures("installed")
async def test_several_judge_together(around: Surroundings, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("darn")
    moderator = await load([f"words:{tmp_path}/list.txt", "strict", "none"], around)
    judged = await moderator.check("darn", role="user")
    assert judged.categories == {"words": 1.0, "all": 0.5}
    assert judged.source == "words, strict, none"


async def test_without_any_nothing_is_flagged(around: Surroundings) -> None:
    moderator = await load([], around)
    assert await moderator.check("darn", role="user") == Judgement("none")
    assert not moderator.sees_images


async def test_an_unknown_one_is_refused_with_the_names(around: Surroundings) -> None:
    with pytest.raises(SetupError, match=r"no moderator 'magic'.*classifier, none, openai, words"):
        await load(["magic"], around)


async def test_one_that_breaks_its_contract_has_failed_and_the_others_are_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        judged = await Combined({"broken": Broken(), "strict": Strict()}).check("Hello", role="user")
    assert judged.is_failed
    assert judged.is_flagged
    assert judged.detail == "broken raised ValueError"
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("none", Spec("none")),
        ("words:/a/b, c.txt", Spec("words", "/a/b, c.txt")),
        ("classifier:org/guard:free,timeout_s=5", Spec("classifier", "org/guard:free", {"timeout_s": "5"})),
        (
            "openai:http://h:1/v1,api_key=env:K,model=a=b",
            Spec("openai", "http://h:1/v1", {"api_key": "env:K", "model": "a=b"}),
        ),
        ("openai:flag_above=0.2", Spec("openai", "", {"flag_above": "0.2"})),
    ],
)
def test_a_moderator_is_written_in_one_line(text: str, spec: Spec) -> None:
    assert parse(text) == spec


def test_a_setting_is_given_once() -> None:
    with pytest.raises(SetupError, match="a setting twice"):
        parse("openai:model=a,model=b")
