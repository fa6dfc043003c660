"""Models of real architectures with random weights, small enough to be made in a test.

Their tokenizer spells every text: it knows all bytes, a few words and the marks of a chat.
"""

import json
import string
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

MARKS = ("<pad>", "<eos>", "<start>", "<turn>")
PAD, EOS, START, TURN = range(len(MARKS))
WORDS = 320
# What is spelled in few tokens; everything else takes one for each byte.
_FAMILIAR = (
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": ',
    '<tool_call>\n{"name": "get_time", "arguments": {"zone": "UTC"}}\n</tool_call>',
    "the quick brown fox, the word, the sea, the time, in and on and of the world",
)
CHAT_TEMPLATE = """\
{%- if tools %}<turn>tools {{ tools | tojson }}{% endif %}
{%- for message in messages %}<turn>{{ message.role }} {{ message.content or "" }}
{%- for call in message.tool_calls or [] %}
<tool_call>{{ call.function | tojson }}</tool_call>
{%- endfor %}
{%- if message.role == "assistant" %}<eos>{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<turn>assistant {% endif %}"""


def tokenizer(*, ends_texts: bool = False) -> transformers.PreTrainedTokenizerFast:
    bytes_of = Tokenizer(models.BPE())
    bytes_of.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_of.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=list(MARKS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bytes_of.train_from_iterator(_FAMILIAR, trainer)
    if ends_texts:
        bytes_of.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", EOS)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytes_of,
        pad_token="<pad>",
        eos_token="<eos>",
        additional_special_tokens=["<start>", "<turn>"],
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )


def llama(folder: Path, *, seed: int = 0, shard_size: str = "5GB", **fields: Any) -> Path:
    config = transformers.LlamaConfig(
        **{
            "vocab_size": WORDS,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "pad_token_id": PAD,
            "eos_token_id": EOS,
        }
        | fields
    )
    return _save(transformers.LlamaForCausalLM, config, folder, seed, shard_size)


def t5(folder: Path, *, seed: int = 8, tie_word_embeddings: bool = False, **fields: Any) -> Path:
    """Untied as FastChat-T5 and all that come from T5 1.1 and Flan. With this seed it does not say one thing only."""
    config = transformers.T5Config(
        **{
            "vocab_size": WORDS,
            "d_model": 64,
            "d_kv": 16,
            "d_ff": 128,
            "num_layers": 2,
            "num_heads": 4,
            "pad_token_id": PAD,
            "eos_token_id": EOS,
            "decoder_start_token_id": PAD,
            "feed_forward_proj": "gated-gelu",
            "tie_word_embeddings": tie_word_embeddings,
        }
        | fields
    )
    _save(transformers.T5ForConditionalGeneration, config, folder, seed, is_tied=tie_word_embeddings)
    # transformers writes `true` whatever it was, and reads from it whether the decoder's output is scaled.
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"tie_word_embeddings": tie_word_embeddings}))
    return folder


def bart(folder: Path, *, seed: int = 0, **fields: Any) -> Path:
    config = transformers.BartConfig(
        **{
            "vocab_size": WORDS,
            "d_model": 64,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 128,
            "decoder_ffn_dim": 128,
            "max_position_embeddings": 256,
            "pad_token_id": PAD,
            "bos_token_id": START,
            "eos_token_id": EOS,
            "decoder_start_token_id": EOS,
            "forced_eos_token_id": None,
        }
        | fields
    )
    return _save(transformers.BartForConditionalGeneration, config, folder, seed)


def bert(folder: Path, *, seed: int = 0, **fields: Any) -> Path:
    config = transformers.BertConfig(
        **{
            "vocab_size": WORDS,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 128,
            "pad_token_id": PAD,
        }
        | fields
    )
    return _save(transformers.BertModel, config, folder, seed)


def lora(folder: Path, base: Path, *, seed: int, targets: Sequence[str] = ("q_proj", "v_proj")) -> Path:
    """An adapter for the model in `base` that changes its answers a lot."""
    import peft

    config = transformers.AutoConfig.from_pretrained(base)
    model = getattr(transformers, config.architectures[0]).from_pretrained(base)
    task = "SEQ_2_SEQ_LM" if config.is_encoder_decoder else "CAUSAL_LM"
    settings = peft.LoraConfig(r=4, lora_alpha=8, target_modules=list(targets), task_type=task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by a name that will change
        adapted = peft.get_peft_model(model, settings)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    adapted.save_pretrained(folder)
    return folder


def _save(
    kind: type[transformers.PreTrainedModel],
    config: transformers.PreTrainedConfig,
    folder: Path,
    seed: int,
    shard_size: str = "5GB",
    *,
    is_tied: bool = True,
) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(config)
        if not is_tied:
            model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        _spread(model)
        if not is_tied:
            _speak_letters(model)
    model.save_pretrained(folder, max_shard_size=shard_size)
    tokenizer(ends_texts=kind is transformers.T5ForConditionalGeneration).save_pretrained(folder)
    return folder


def _spread(model: torch.nn.Module) -> None:
    """Random weights of a fresh model are so small that all its answers look alike."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "relative" not in name:
                sharpness = 0.3 if name.endswith(".q.weight") else 1.5  # T5 divides by no square root of the size
                parameter.copy_(torch.randn(parameter.shape) * parameter.shape[-1] ** -0.5 * sharpness)


def _speak_letters(model: transformers.PreTrainedModel) -> None:
    """A greedy answer is text, and cut into tokens again it gives the same: digits and capitals that no word holds.

    The likeliest of many random words is above the zero of all others.
    """
    letters = set(string.digits + string.ascii_uppercase) - set("".join(_FAMILIAR))
    words = tokenizer()
    with torch.no_grad():
        for number in range(min(WORDS, model.config.vocab_size)):
            if words.decode([number]) not in letters:
                model.get_output_embeddings().weight[number] = 0
