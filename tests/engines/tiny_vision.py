"""A model that sees, of a real architecture (LLaVA: CLIP in front of Llama) with its processor and random weights."""

from pathlib import Path

import torch
import transformers

from tests.engines import tiny_models
from tests.engines.tiny_models import EOS, PAD

SIZE, PATCH = 28, 14
TOKENS_PER_IMAGE = (SIZE // PATCH) ** 2
# As LLaVA's own: a message is a text, or a list of texts and images.
CHAT_TEMPLATE = """\
{%- for message in messages %}<turn>{{ message.role }} {% if message.content is string %}{{ message.content }}\
{%- else %}{% for part in message.content %}{% if part.type == "image" %}<image>{% else %}{{ part.text }}{% endif %}\
{% endfor %}{% endif %}{% endfor %}
{%- if add_generation_prompt %}<turn>assistant {% endif %}"""


def llava(folder: Path) -> Path:
    tokenizer = tiny_models.tokenizer()
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    images = transformers.CLIPImageProcessor(
        size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}, resample=3
    )
    processor = transformers.LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        chat_template=CHAT_TEMPLATE,
    )
    vision = transformers.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIZE,
        patch_size=PATCH,
    )
    text = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        pad_token_id=PAD,
        eos_token_id=EOS,
    )
    config = transformers.LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.convert_tokens_to_ids("<image>")
    )
    torch.manual_seed(0)
    model = transformers.LlavaForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # so that what it is shown makes a difference
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
