import re
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastchat.arena.scrubbing import REMOVED, SENTENCES, Failure, blind_sentence, failure_of, scrub
from fastchat.client.providers.errors import refusal, timed_out, unreachable
from fastchat.core import errors
from fastchat.core.errors import (
    ContextLengthExceeded,
    FastChatError,
    InvalidRequest,
    NoWorker,
    QueueFull,
    RequestTooLarge,
    UnknownModel,
    WorkerFailed,
)

SERVED = [
    "gpt-4o",
    "claude-3.5-sonnet",
    "meta-llama/Llama-3.1-8B-Instruct",
    "smollm2-135m-instruct",
    "Wombat 9",
    "m",
]

# As providers and servers put it.
MESSAGES = [
    "Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4o in organization org-AbC123xYz on tokens "
    "per min (TPM): Limit 30000, Used 29000, Requested 2100. Visit https://platform.openai.com/account/rate-limits to "
    "learn more.', 'type': 'tokens', 'param': None, 'code': 'rate_limit_exceeded'}}",
    "Incorrect API key provided: sk-proj-abcd****wxyz. You can find your API key at https://platform.openai.com.",
    "The model `gpt-4o-2024-08-06` has been deprecated.",
    "anthropic.BadRequestError: Error code: 400 - {'type': 'error', 'error': {'type': 'invalid_request_error', "
    "'message': 'messages: roles must alternate'}, 'request_id': 'req_011CSHoEeqs5C35K2UUqR7Fy'}",
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
    "prompt is too long: 208310 tokens > 200000 maximum",
    '{"error": {"code": 429, "message": "Resource has been exhausted (e.g. check quota).", "status": '
    '"RESOURCE_EXHAUSTED"}} models/gemini-1.5-pro',
    "API key not valid: AIzaSyD-1234567890abcdefghijklmnopqrstuv",
    "An error occurred (ThrottlingException) when calling the ConverseStream operation: Too many tokens. "
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-5-sonnet-20241022-v2:0",
    "The model 'Llama 3.1 8B Instruct' does not exist. Models served here: GPT4o, smollm2_135m_instruct, wombat_9.",
    "Cannot connect to host gpu-7.cluster.local:8000 ssl:default [Connect call failed ('10.1.2.3', 8000)]",
    "dial tcp [fe80::1ff:fe23:4567:890a]:11434: connect: connection refused",
    "http://localhost:21002/v1 answered 500",
    "vllm.engine.async_llm_engine.AsyncEngineDeadError at /home/ops/models/Llama-3.1-8B/config.json",
    "C:\\models\\smollm2.gguf: CUDA out of memory",
    "Nothing that serves “Wombat-9” is up. Authorization: Bearer abcdef",
    "Ｃｌａｕｄｅ is overloaded; c\u200blaude-3.5-sonnet too",
    "Azure OpenAI's content management policy; see go.microsoft.com/fwlink/?linkid=2198766; mail ops@acme.example",
]
TELLTALES = re.compile(
    r"gpt|claude|anthropic|openai|llama|smollm|wombat|gemini|bedrock|azure|microsoft|vllm\.|sk-|aiza|://|\.com|\.local"
    r"|\d{3}|localhost|req_|org-|home|gguf|fe80|bearer \w|error_|_error|exception|deaderror|@",
    re.IGNORECASE,
)


@pytest.mark.parametrize("message", MESSAGES)
def test_nothing_that_tells_is_left_of_providers_errors(message: str) -> None:
    clean = scrub(message, SERVED)
    assert not TELLTALES.search(clean), clean
    assert REMOVED in clean


@pytest.mark.parametrize(
    "message",
    ["The answer broke off before its end.", "Too many images were given; send at most 4.", "Das Bild ist zu groß."],
)
def test_words_that_tell_nothing_stay(message: str) -> None:
    assert scrub(message, SERVED) == message


def told(text: str, name: str) -> bool:
    """By another way than the code's: separators are one, and case does not count."""
    same = [re.sub(r"[-_. ]", "-", each.casefold()) for each in (name, text)]
    return same[0] in same[1]


def spelled(name: str) -> st.SearchStrategy[str]:
    separators = st.sampled_from("-_. ")

    def write(choices: tuple[list[bool], list[str]]) -> str:
        upper, between = choices
        characters = zip(name, upper, between, strict=True)
        return "".join(
            other if char in "-_. " else (char.upper() if is_upper else char) for char, is_upper, other in characters
        )

    length = {"min_size": len(name), "max_size": len(name)}
    return st.tuples(st.lists(st.booleans(), **length), st.lists(separators, **length)).map(write)


NAMES = st.from_regex(r"\A[a-zA-Z0-9]{1,6}([-_. ][a-zA-Z0-9]{1,5}){0,4}\Z").filter(
    lambda name: sum(char.isalnum() for char in name) >= 3
)


@settings(deadline=None)  # every example compiles other names
@given(st.data())
def test_no_served_name_survives_however_it_is_spelled(data: st.DataObject) -> None:
    names = data.draw(st.lists(NAMES, min_size=1, max_size=4))
    pieces = st.one_of(st.text(max_size=10), st.sampled_from(names).flatmap(spelled))
    text = "".join(data.draw(st.lists(pieces, max_size=8)))
    clean = scrub(text, names)
    assert not [name for name in names if told(clean, name)], clean


@settings(deadline=None)  # every example compiles other names
@given(st.lists(st.text(min_size=1, max_size=12), max_size=4), st.text(max_size=60))
def test_scrubbed_once_is_scrubbed_for_good(names: list[str], text: str) -> None:
    clean = scrub(text, names)
    assert scrub(clean, names) == clean


@settings(deadline=None)  # every example compiles other names
@given(st.text(st.characters(categories=["L", "N"]), min_size=3, max_size=12), st.text(max_size=20))
def test_names_of_any_script_do_not_survive(name: str, around: str) -> None:
    for text in (f"{around}{name}{around}", f"{around} {name.upper()} {around}", f"({name.casefold()})"):
        assert name.casefold() not in scrub(text, [name]).casefold()


def test_a_name_is_not_put_together_again_by_what_is_taken_out() -> None:
    assert not told(scrub("wom wombat-9 bat-9", ["wombat-9"]), "wombat-9")
    assert not told(scrub("womwombat-9bat-9", ["wombat-9"]), "wombat-9")


def test_where_a_name_can_only_be_found_folded_nothing_is_said() -> None:
    assert scrub("STRASSEN 7 failed", ["Straßen-7"]) == f"{REMOVED} failed"
    assert scrub("Straßen-7 failed", ["Straßen-7"]) == ""


def test_a_very_short_name_is_taken_out_as_a_word_only() -> None:
    assert scrub("m: my model hummed", ["m"]) == f"{REMOVED} my model hummed"


def test_what_is_long_is_cut_before_it_takes_time() -> None:
    assert len(scrub("word " * 100_000, SERVED)) < 3000


ERRORS = [
    (QueueFull("gpt-4o allows no more requests"), "busy"),
    (NoWorker("Nothing that serves gpt-4o is up"), "busy"),
    (timed_out("Anthropic"), "busy"),
    (unreachable("Anthropic"), "busy"),
    (refusal("OpenAI", 429, "Rate limit reached for gpt-4o"), "busy"),
    (ContextLengthExceeded(9000, 8192), "too_long"),
    (RequestTooLarge("too large for gpt-4o"), "too_long"),
    (InvalidRequest("gpt-4o takes no images"), "refused"),
    (refusal("OpenAI", 400, "gpt-4o: invalid prompt"), "refused"),
    (UnknownModel("gpt-4o", ["claude"]), "broke_off"),
    (refusal("OpenAI", 401, "Incorrect API key provided: sk-1"), "broke_off"),
    (WorkerFailed("gpt-4o broke off"), "broke_off"),
    (FastChatError("gpt-4o"), "broke_off"),
]


@pytest.mark.parametrize(("error", "failure"), ERRORS, ids=lambda value: getattr(value, "message", value))
def test_a_blind_battle_says_only_what_kind_of_error_it_was(error: FastChatError, failure: Failure) -> None:
    assert failure_of(error) == failure
    assert blind_sentence(error) == SENTENCES[failure]


def test_every_failure_has_a_sentence_that_tells_nothing() -> None:
    assert set(SENTENCES) == set(get_args(Failure))
    assert all(scrub(sentence, SERVED) == sentence for sentence in SENTENCES.values())


def test_every_error_of_the_tree_is_one_of_the_failures() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FastChatError)]
    for kind in kinds:
        error = kind.__new__(kind)
        FastChatError.__init__(error, "said by gpt-4o")
        assert "gpt" not in blind_sentence(error)
