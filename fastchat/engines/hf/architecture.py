"""What kind of model a configuration describes, and which of transformers' classes it is."""

from collections.abc import Mapping
from typing import Any

from fastchat.engines.hf.loaded import Kind

_GENERATE = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
_GENERATING_AUTO_CLASSES = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM")


def kind_of(config: Any, description: Mapping[str, Any]) -> Kind:
    """`config` is transformers', `description` the file config.json."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    names = description.get("architectures") or []
    if names:
        generates = names[0].endswith(_GENERATE)
    else:
        generates = config.is_encoder_decoder or (
            type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and type(config) not in MODEL_FOR_MASKED_LM_MAPPING
        )
    generates = generates or any(name in auto_map(description) for name in _GENERATING_AUTO_CLASSES)
    if not generates:
        return "encoder"
    return "encoder-decoder" if config.is_encoder_decoder else "decoder"


def auto_map(description: Mapping[str, Any]) -> dict[str, Any]:
    found = description.get("auto_map")
    return found if isinstance(found, dict) else {}


def model_class(config: Any, kind: Kind) -> Any:
    import transformers

    if kind == "encoder":
        name = (config.architectures or [""])[0]
        # AutoModel would bring the decoder as well.
        return getattr(transformers, name) if name.endswith("EncoderModel") else transformers.AutoModel
    if kind == "encoder-decoder":
        return transformers.AutoModelForSeq2SeqLM
    return transformers.AutoModelForImageTextToText if sees(config) else transformers.AutoModelForCausalLM


def sees(config: Any) -> bool:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    name = (config.architectures or [""])[0]
    return type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING and name.endswith("ForConditionalGeneration")
