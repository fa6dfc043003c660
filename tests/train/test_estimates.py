"""What training will take."""

from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.train.estimates import Memory, measure, memory, operations, price, read_hardware
from tests.train.small import llama


def test_sizes_are_those_of_the_model() -> None:
    model = llama()

    size = measure(model.config)

    assert size.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert size.embedded == 600 * 32
    assert size.linear == size.parameters - 2 * 600 * 32 - 5 * 32  # embeddings, head, norms
    assert (size.layers, size.hidden, size.vocabulary) == (2, 32, 600)


def test_an_adapter_has_two_narrow_matrices_a_layer() -> None:
    attention, feed_forward = (32 + 32) + 2 * (32 + 16) + (32 + 32), 3 * (32 + 64)

    assert measure(llama().config).lora_per_rank == 2 * (attention + feed_forward)


def test_llama_7b() -> None:
    """Published: 6,738,415,616 parameters. TRL counts 42.9 GFLOP a token at 2048, attention to later ones included."""
    from transformers import LlamaConfig

    size = measure(LlamaConfig(num_key_value_heads=32))

    assert size.parameters == 6_738_415_616
    assert memory(size, "full", tokens=2048).weights == pytest.approx(107.8e9, rel=1e-3)
    assert memory(size, "QLoRA", tokens=2048).weights == pytest.approx(4.5e9, rel=0.05)
    assert operations(size, 1, 2048) == pytest.approx(41.3e9, rel=0.01)
    less = operations(size, 1, 2048, "LoRA") / operations(size, 1, 2048)
    assert less == pytest.approx(2 / 3)


def test_tied_embeddings_are_computed_with() -> None:
    config = llama(tie_word_embeddings=True).config

    size = measure(config)

    assert size.embedded == 0
    assert size.parameters == measure(llama().config).parameters - 600 * 32


def test_checkpointing_saves_activations_and_devices_share_weights() -> None:
    size = measure(llama(attention="sdpa").config)
    kept, again = (memory(size, "full", tokens=100, checkpointing=each) for each in (False, True))

    assert again.activations < kept.activations
    assert again.weights == kept.weights
    assert Memory("full", 800, 10).on_each(8) == 110


def test_price_goes_by_hours_and_what_has_no_room_is_said() -> None:
    hardware = next(each for each in read_hardware() if each.memory_gb == 80)
    needs = {"full": Memory("full", 200e9, 0), "LoRA": Memory("LoRA", 16e9, 1e9)}
    an_hour = hardware.bf16_tflops * 1e12 * hardware.share * 3600

    found = price(measure(llama().config), hardware, needs, done=2 * an_hour, devices=2)  # type: ignore[arg-type]

    assert found.hours == pytest.approx(1)
    assert found.usd == pytest.approx(2 * hardware.usd_per_hour)
    assert found.fits == ("LoRA",)


def test_hardware_says_where_its_numbers_are_from() -> None:
    assert all(each.source for each in read_hardware())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[hardware", "is not TOML"),
        ('[[hardware]]\nname = "x"', r"\[\[hardware\]\] 0.memory_gb: Field required"),
        ('[[hardware]]\nname = "x"\ncolour = "red"', "hardware"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_hardware_file_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "mine.toml"
    if text is not None:
        file.write_text(text)

    with pytest.raises(SetupError, match=f"mine.toml.*{said}"):
        read_hardware(file)
