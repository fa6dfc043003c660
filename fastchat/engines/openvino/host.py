"""The process that holds the pipeline: obeys commands, steps while requests run, tells what each step brought.

It is a process of its own because a step of the library holds Python's lock from its beginning to its end; with a large
model a worker would not answer anybody for seconds. A library that crashes does not take the worker with it, either.

    ← {"do": "generate", "id": 7, "prompt": "Once", "add_special": true, "limit": 9, "config": {…}, "form": null}
    → {"id": 7, "prompt_tokens": 1}
    → {"step": [[7, [28], null]]}                          id, tokens, why the answer ended
    ← {"do": "cancel", "id": 7}
    ← {"do": "tokenize", "id": 8, "text": "Once", "add_special": false}
    → {"id": 8, "tokens": [8312]}                          or {"id": 8, "error": "…", "kind": "context", "tokens": 9000}

One JSON object a line; commands on standard input, whose end is the end of the process.
"""

import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, TypeAlias

from fastchat.engines.openvino.probe import FormRefused, Probe, row

Line: TypeAlias = Mapping[str, Any]


class Host:
    def __init__(self, library: Any, settings: Line, send: Callable[[Line], None]) -> None:
        self._library = library
        self._context_length: int = settings["context_length"]
        self._send = send
        self._handles: dict[int, Any] = {}
        self._probe = Probe(library)
        scheduler = library.SchedulerConfig()
        scheduler.num_kv_blocks = settings["cache_blocks"]
        scheduler.max_num_seqs = settings["slots"]
        scheduler.max_num_batched_tokens = settings["batch"]
        scheduler.enable_prefix_caching = settings["prefix_cache"]
        scheduler.dynamic_split_fuse = True  # long prompts are read in parts, between the tokens of others
        self._pipeline = library.ContinuousBatchingPipeline(
            settings["model_path"], scheduler, "CPU", settings["properties"]
        )
        self._tokenizer = self._pipeline.get_tokenizer()

    def describe(self) -> Line:
        """What the other side has to know of the model."""
        pieces = spelled(self._tokenizer.get_vocab())
        return {
            "pieces": [piece.decode("latin-1") for piece in pieces],
            "special": self._special(len(pieces)),
            "bos": self._tokenizer.get_bos_token(),
            "eos": self._tokenizer.get_eos_token(),
            "template": self._tokenizer.get_original_chat_template(),
        }

    @property
    def is_busy(self) -> bool:
        return bool(self._pipeline.has_non_finished_requests())

    def obey(self, command: Line) -> None:
        action = {"generate": self._generate, "cancel": self._cancel, "tokenize": self._tokenize}[command["do"]]
        try:
            action(command)
        except FormRefused as refusal:
            self._send({"id": command["id"], "error": _reason(refusal), "kind": "form"})
        except (RuntimeError, ValueError, TypeError) as error:
            self._send({"id": command["id"], "error": _reason(error), "kind": "invalid"})

    def step(self) -> None:
        self._pipeline.step()
        if news := [item for number in list(self._handles) if (item := self._news(number)) is not None]:
            self._send({"step": news})

    def _generate(self, order: Line) -> None:
        tokens = self._tokens(order["prompt"], add_special=order["add_special"])
        room = self._context_length - len(tokens)
        if room <= 0:
            self._send({"id": order["id"], "error": "too long", "kind": "context", "tokens": len(tokens)})
            return
        limit = room if order["limit"] is None else min(room, order["limit"])
        self._send({"id": order["id"], "prompt_tokens": len(tokens)})
        if limit == 0:  # the library makes at least one token
            self._send({"step": [[order["id"], [], "length"]]})
            return
        config = self._config(order["config"], limit, order["form"])
        self._handles[order["id"]] = self._pipeline.add_request(order["id"], row(tokens), config)

    def _cancel(self, command: Line) -> None:
        handle = self._handles.pop(command["id"], None)
        if handle is not None:
            handle.cancel()

    def _tokenize(self, command: Line) -> None:
        tokens = self._encode(command["text"], add_special=command["add_special"])
        self._send({"id": command["id"], "tokens": tokens})

    def _tokens(self, prompt: str | list[int], *, add_special: bool) -> list[int]:
        tokens = self._encode(prompt, add_special=add_special) if isinstance(prompt, str) else prompt
        # Nothing at all is the beginning of a document.
        return tokens or [self._tokenizer.get_bos_token_id()]

    def _encode(self, text: str, *, add_special: bool) -> list[int]:
        ids = self._tokenizer.encode(text, add_special_tokens=add_special).input_ids.data
        return [int(token) for token in ids.reshape(-1)]

    def _config(self, fields: Line, limit: int, form: Line | None) -> Any:
        config = self._pipeline.get_config()
        config.max_new_tokens = limit
        for name, value in fields.items():
            setattr(config, name, value)
        if form is not None:
            config.structured_output_config = structured_output(self._library, form)
            self._probe.check(config.structured_output_config, json.dumps(form))
        config.validate()
        return config

    def _news(self, number: int) -> list[Any] | None:
        handle = self._handles[number]
        tokens: list[int] = []
        while handle.can_read():
            for output in handle.read().values():
                tokens += output.generated_ids
                reason = output.finish_reason
        status = handle.get_status()
        if status == self._library.GenerationStatus.RUNNING:
            return [number, tokens, None] if tokens else None
        del self._handles[number]
        if status == self._library.GenerationStatus.IGNORED:
            self._send({"id": number, "error": "It does not fit into the cache.", "kind": "failed"})
            return None
        is_cut = bool(tokens) and reason == self._library.GenerationFinishReason.LENGTH
        return [number, tokens, "length" if is_cut else "stop"]

    def _special(self, size: int) -> list[int]:
        """Tokens that are no text. The library knows them and tells only by leaving them out."""
        all_of_them = [[token] for token in range(size)]
        shown = self._tokenizer.decode(all_of_them, skip_special_tokens=True)
        spelled_out = self._tokenizer.decode(all_of_them, skip_special_tokens=False)
        return [token for token in range(size) if spelled_out[token] and not shown[token]]


def spelled(vocabulary: Mapping[bytes, int]) -> list[bytes]:
    """The bytes of each token, by its id; nothing where an id has none.

    SentencePiece writes a space as `▁` and a lone byte as `<0x0A>`; the other tokenizers come spelled out.
    """
    pieces = [b""] * (max(vocabulary.values()) + 1)
    is_sentencepiece = b"<0x0A>" in vocabulary
    for piece, token in vocabulary.items():
        pieces[token] = _unmarked(piece) if is_sentencepiece else piece
    return pieces


def _unmarked(piece: bytes) -> bytes:
    if len(piece) == 6 and piece.startswith(b"<0x"):
        return bytes.fromhex(piece[3:5].decode())
    return piece.replace("▁".encode(), b" ")


def structured_output(library: Any, form: Line) -> Any:
    """The form of an answer (see `forms.py`) in the library's words."""
    config = library.StructuredOutputConfig
    if "schema" in form:
        return config(json_schema=form["schema"])
    if "grammar" in form:
        return config(grammar=form["grammar"])
    tags = [
        config.Tag(begin=call["begin"], content=config.JSONSchema(call["schema"]), end=call["end"])
        for call in form["calls"]
    ]
    result = config()
    if form["otherwise"] is not None:
        # One call: xgrammar chooses only among things of which it knows where they end.
        result.structural_tags_config = config.Union(config.JSONSchema(form["otherwise"]), *tags)
    elif form["is_forced"]:
        result.structural_tags_config = config.TagsWithSeparator(tags, "\n", at_least_one=True, stop_after_first=True)
    else:
        result.structural_tags_config = config.TriggeredTags(
            triggers=[form["mark"]], tags=tags, stop_after_first=form["only_one"]
        )
    return result


def _reason(error: Exception) -> str:
    """The library begins with time and place in its own source, sometimes on a line of their own."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].rpartition("/")[2].partition(": ")[2] or lines[-1]


def import_library() -> Any:
    # Importing OpenVINO reports to its makers over the network, unless this package is missing.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # how Python marks what cannot be imported
    import openvino_genai

    return openvino_genai


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which ends us in good order
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the library prints must not get between the events

    def send(line: Line) -> None:
        events.write(json.dumps(line).encode() + b"\n")
        events.flush()

    commands: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
    settings = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_listen, args=(sys.stdin.buffer, commands), daemon=True).start()
    status = 1
    try:
        _run(settings, commands, send)
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        # Nothing here is worth the time of taking it apart, and a thread that still reads could not be ended.
        sys.stderr.flush()
        os._exit(status)


def _run(settings: Line, commands: "queue.SimpleQueue[Line | None]", send: Callable[[Line], None]) -> None:
    try:
        host = Host(import_library(), settings, send)
        send({"ready": host.describe()})
    except Exception as error:  # its reader of files raises whatever it stumbles over
        send({"failed": _reason(error)})
        return
    while True:
        while not (host.is_busy and commands.empty()):
            command = commands.get()
            if command is None:
                return
            host.obey(command)
        host.step()


def _listen(stream: BinaryIO, commands: "queue.SimpleQueue[Line | None]") -> None:
    for line in stream:
        commands.put(json.loads(line))
    commands.put(None)


if __name__ == "__main__":
    main()
