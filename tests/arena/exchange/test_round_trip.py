"""Whatever stands in a line of FastChat's shape comes back: no field is known to the store that is not kept."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastchat.arena.exchange.patches import apply, canonical, difference
from fastchat.arena.store.reading import transcripts
from tests.arena.exchange.logs import give_out, take_in, without_address
from tests.arena.store.stories import opened

SIDES = [f"{number:032x}" for number in (0xA0, 0xB0, 0xC0, 0xD0)]
PAIRS = [(SIDES[0], SIDES[1]), (SIDES[2], SIDES[3])]

texts = st.text(st.characters(codec=None), max_size=12)
numbers = st.one_of(st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
moments = st.one_of(
    st.integers(1_600_000_000, 1_600_000_009), st.floats(1_600_000_000, 1_600_000_009).map(lambda at: round(at, 4))
)
contents = st.one_of(texts, st.none(), st.tuples(texts, st.lists(texts, max_size=2)).map(list), values)


@st.composite
def states(draw: st.DrawFn, conv_id: str) -> dict[str, Any]:
    fixed = {
        "template_name": draw(st.sampled_from(["vicuna_v1.1", "raw", 7])),
        "system_message": draw(st.sampled_from(["", "Be kind.", "\ud800", None])),
        "roles": draw(st.sampled_from([["USER", "ASSISTANT"], ["0", "1"], ["a", "b", "c"], [], None])),
        "messages": draw(
            st.lists(st.tuples(st.sampled_from(["USER", "ASSISTANT", ""]), contents).map(list), max_size=5)
        ),
        "offset": draw(st.sampled_from([0, 0, 0, 1, 2, 9, None])),
        "conv_id": conv_id,
        "model_name": draw(st.sampled_from(["vicuna-13b", "gpt-4", ""])),
    }
    return {
        **fixed,
        **draw(st.dictionaries(st.sampled_from(["ans_models", "has_csam_image", "x"]), values, max_size=2)),
    }


@st.composite
def lines(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["chat", "upvote", "downvote", "flag", "leftvote", "tievote", "bothbad_vote", "share"]))
    line: dict[str, Any] = {"tstamp": draw(moments), "type": kind, "ip": draw(st.sampled_from(["192.0.2.1", "::1"]))}
    if kind in ("chat", "upvote", "downvote", "flag"):
        line |= {"model": "vicuna-13b", "state": draw(states(draw(st.sampled_from(SIDES))))}
    else:
        pair = draw(st.sampled_from(PAIRS))
        shown = draw(st.sampled_from([["", ""], ["vicuna-13b", "gpt-4"], ["### Model A: x", None]]))
        line |= {"models": shown, "states": [draw(states(side)) for side in pair]}
    if kind == "chat":
        line |= {"gen_params": draw(values), "start": draw(moments), "finish": line["tstamp"]}
    return {**line, **draw(st.dictionaries(st.sampled_from(["more", "ip2"]), values, max_size=1))}


@given(values, values)
def test_a_difference_leads_from_one_value_to_the_other(old: Any, new: Any) -> None:
    patch = difference(old, new)
    stored = json.loads(json.dumps(patch, ensure_ascii=False).encode())
    assert canonical(apply(old, stored)) == canonical(new)
    assert (patch == {}) == (canonical(old) == canonical(new))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(lines(), max_size=8), st.integers(0, 8))
async def test_any_lines_come_back_from_any_two_imports(written: list[dict[str, Any]], cut: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = [folder / "1-conv.json", folder / "2-conv.json"]
        for file, part in zip(parts, (written[:cut], written[cut:]), strict=True):
            file.write_text("".join(json.dumps(line) + "\n" for line in part))
        async with opened(str(folder / "one.sqlite")) as store:
            for file in parts:
                await take_in(store, [file])
            first = await give_out(store, folder / "out")
            before = await store.read(lambda rows: list(transcripts(rows)))
            await take_in(store, [*parts, *first])
            assert await store.read(lambda rows: list(transcripts(rows))) == before
        distinct = {canonical({**line, "ip": None}): line for line in written}.values()
        assert without_address(_lines(first)) == without_address(distinct)
        async with opened(str(folder / "two.sqlite")) as store:
            await take_in(store, first)
            second = await give_out(store, folder / "again")
        assert sorted(map(canonical, _lines(second))) == sorted(map(canonical, _lines(first)))


def _lines(files: list[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]
