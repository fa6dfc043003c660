"""`fastchat train preview`: what would be learned of some conversations, and what training on them takes."""

from itertools import chain, islice
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.outputs import write_output
from fastchat.core.settings import Settings, setting


class PreviewSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_TRAIN_")

    data: list[Path] = setting(
        [], "conversations in any format that is known; may be given several times", metavar="FILE"
    )
    format: str | None = setting(None, "what the files are (default: their first record tells)", metavar="NAME")
    model: str | None = setting(
        None, "the model that would be tuned: 'builtin', a folder, a name on the hub", metavar="PATH"
    )
    template: str | None = setting(None, "prompt format or Jinja file (default: the model's own)", metavar="NAME")
    html: Path | None = setting(None, "write a page with all of it, too", metavar="FILE")
    show: NonNegativeInt = setting(3, "samples that are shown", metavar="N")
    limit: PositiveInt | None = setting(None, "look at the first N conversations only", metavar="N")
    max_length: PositiveInt = setting(2048, "longest sample in tokens", metavar="N")
    too_long: Literal["truncate", "split", "drop"] = setting("truncate", "what is done with longer ones")
    packing: bool = setting(True, "samples share rows")
    batch: PositiveInt = setting(128, "samples of an update", metavar="N")
    epochs: PositiveFloat = setting(3.0, "how often all is seen", metavar="N")
    devices: PositiveInt = setting(1, "how many compute", metavar="N")
    rows: PositiveInt = setting(1, "rows that a device computes with at once", metavar="N")
    gradient_checkpointing: bool = setting(True, "activations are computed again instead of kept")
    lora_rank: PositiveInt = setting(16, "rank of adapters, on all linear layers", metavar="N")
    hardware: Path | None = setting(
        None, "TOML file with speeds and prices, as fastchat/train/hardware.toml", metavar="FILE"
    )


async def preview(settings: PreviewSettings) -> int:
    """1 if training would not begin."""
    if not settings.data or settings.model is None:
        raise SetupError(
            "fastchat train preview needs --data FILE and --model PATH ('builtin' for the built-in model)."
        )
    from rich.console import Console

    from fastchat.data.readers.conversations import read_conversations
    from fastchat.train import estimates, preview_page, preview_terminal
    from fastchat.train import preview as previews
    from fastchat.train.attention import can_pack
    from fastchat.train.chat_format import find_format
    from fastchat.train.encoding import Encoder
    from fastchat.train.loading import base_folder, load_config, load_tokenizer

    hardware = estimates.read_hardware(settings.hardware)
    folder = base_folder(settings.model)
    config = load_config(folder, trust_remote_code=False)
    tokenizer = load_tokenizer(folder, settings.max_length, trust_remote_code=False)
    chat_format = find_format(str(folder), tokenizer, settings.template)
    encoder = Encoder(
        tokenizer,
        chat_format,
        max_length=settings.max_length,
        too_long=settings.too_long,
        pairs=config.is_encoder_decoder,
    )
    every = chain.from_iterable(read_conversations(file, settings.format) for file in settings.data)
    conversations = islice(every, settings.limit)
    batches = previews.Batches(
        max_length=settings.max_length * (2 if config.is_encoder_decoder else 1),  # a question and an answer
        epochs=settings.epochs,
        samples=settings.batch,
        rows=settings.rows,
        devices=settings.devices,
        packs=settings.packing and can_pack(config),
        checkpoints=settings.gradient_checkpointing,
        lora_rank=settings.lora_rank,
    )
    look = previews.look_at(conversations, encoder, tokenizer, settings.show)
    made = previews.preview(look, config, chat_format, settings.model, batches, hardware)
    preview_terminal.show(made, Console(markup=False, highlight=False))
    if settings.html is not None:
        write_output(settings.html, preview_page.page(made).encode("utf-8", "replace"))
        print(f"{settings.html}: written")
    return 1 if made.problems else 0
