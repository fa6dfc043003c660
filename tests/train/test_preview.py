"""What `fastchat train preview` shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from fastchat.commands.train_preview import PreviewSettings, preview
from fastchat.core.errors import SetupError
from tests.train.small import chatml_tokenizer, llama
from tests.train.test_chat_format import PLAIN

_DIRTY = "<script>alert(1)</script>[red]"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model without weights, which none are needed of."""
    folder = tmp_path / "model"
    chatml_tokenizer().save_pretrained(folder)
    llama().config.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(PLAIN)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    def talk(number: int) -> dict[str, Any]:
        says = [{"from": "human", "value": f"Tell me more. {_DIRTY}"}, {"from": "gpt", "value": "Of course!\nHello."}]
        return {"id": str(number), "conversations": says * (1 + number % 5)}

    file = tmp_path / "talks.json"
    file.write_text(json.dumps([talk(number) for number in range(50)]))
    return file


async def test_trained_words_are_marked_and_numbers_told(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html = tmp_path / "look.html"

    status = await preview(PreviewSettings(data=[data], model=str(model), html=html, show=2, batch=10, epochs=2))

    said = capsys.readouterr().out
    assert status == 0
    assert "⟦Of course!⏎" in said
    assert f"Tell me more. {_DIRTY}" in said  # as it stands: no markup, no colour
    assert "sample 2" in said
    assert "sample 3" not in said
    for fact in ("50, of which the template refuses 0", "'<|im_end|>'", "10 (2 epochs, 10 samples each)"):
        assert fact in said
    page = html.read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert '<span class="trained">Of course!⏎\nHello.&lt;|im_end|&gt;</span>' in page
    assert "http-equiv" in page


async def test_training_that_would_not_begin_is_told(
    model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / "chat_template.jinja").write_text(PLAIN.replace("<|im_end|>", ""))

    status = await preview(PreviewSettings(data=[data], model=str(model), limit=5))

    said = " ".join(capsys.readouterr().out.split())
    assert status == 1
    assert "training would not begin: 15 of 15 answers do not end with a token at which the model stops" in said


async def test_padded_rows_cost_more(model: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for packing in (True, False):
        await preview(PreviewSettings(data=[data], model=str(model), packing=packing, rows=8, show=0, max_length=600))
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("rows an epoch"))
        found.append(float(line.rpartition(": ")[2].partition("%")[0]))

    assert found[0] > found[1]


async def test_what_is_missing_is_named(model: Path, data: Path) -> None:
    with pytest.raises(SetupError, match="needs --data FILE and --model PATH"):
        await preview(PreviewSettings(model=str(model)))
    with pytest.raises(SetupError, match="50 of 50 samples train nothing"):
        await preview(PreviewSettings(data=[data], model=str(model), max_length=5))
