"""The built-in model learns from real conversations, and what it learns holds for those that it has not seen."""

import json
from pathlib import Path
from typing import Any

import pytest

from fastchat.commands import train
from fastchat.train.examples import is_held_out

ALPACA = Path(__file__).parents[1] / "data" / "conversations" / "alpaca_en_demo_160.json"
MOST_CHARACTERS = 520  # of a conversation, so that a CPU is done in minutes
HELD_OUT = 0.3


@pytest.mark.full
@pytest.mark.model
@pytest.mark.timeout(1800)
def test_the_loss_on_real_conversations_that_were_held_out_falls(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = []
    for number, record in enumerate(json.loads(ALPACA.read_text())):
        if sum(map(len, record.values())) < MOST_CHARACTERS:
            records.append({"id": f"alpaca_{number}", **record})
    data, output = tmp_path / "alpaca.json", tmp_path / "tuned"
    data.write_text(json.dumps(records))
    held_out = [record for record in records if is_held_out(record["id"], HELD_OUT)]
    assert len(held_out) >= 20
    values = [f"data={data}", f"output={output}", f"held_out={HELD_OUT}"]
    train.main(["lora", "smollm2_cpu", *values, "epochs=2", "global_batch=8", "max_length=512", "learning_rate=3e-4"])
    lineage = json.loads((output / "lineage.json").read_text())
    assert lineage["conversations"] == len(records) - len(held_out)
    before, *_, after = lineage["held_out_losses"]
    print(f"{len(records) - len(held_out)} conversations; of {len(held_out)} held out: {before:.3f} → {after:.3f}")
    assert after < before - 0.01
