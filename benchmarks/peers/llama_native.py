"""llama.cpp built for this very CPU, with nothing around it. Run by the Python of `.cache/peers/llama_native`.

llama_native.py speed FILE        then, a line each:  {"concurrency": 8, "tokens": 48}  →  {"tokens": …, "cpu_s": …}
llama_native.py likelihood FILE TEXT WINDOW           →  the natural-log probability of each token of the text
"""

import ctypes
import json
import sys
import time
from pathlib import Path

import llama_cpp
import numpy as np

QUESTION = "<|im_start|>user\nTell me what happened in the year {}.<|im_end|>\n<|im_start|>assistant\n"


def speed(file: str, most: int = 32) -> None:
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(file.encode(), llama_cpp.llama_model_default_params())
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch, settings.n_seq_max = most * 512, 512, 512, most
    settings.n_threads = settings.n_threads_batch = 1
    context = llama_cpp.llama_init_from_model(model, settings)
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        tokens = _answer(model, context, job["concurrency"], job["tokens"])
        result = {"tokens": tokens, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        print(json.dumps(result), flush=True)


def _answer(model, context, concurrency: int, wanted: int) -> int:
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
    vocabulary = llama_cpp.llama_model_get_vocab(model)
    size = llama_cpp.llama_vocab_n_tokens(vocabulary)
    batch = llama_cpp.llama_batch_init(512, 0, 1)
    ends, last = [], []
    for number in range(concurrency):  # prompts are read one after another, as they would come
        prompt = _tokens(vocabulary, QUESTION.format(1800 + number))
        _fill(batch, [(token, at, number, at == len(prompt) - 1) for at, token in enumerate(prompt)])
        assert llama_cpp.llama_decode(context, batch) == 0
        ends.append(len(prompt))
        last.append(_likeliest(context, len(prompt) - 1, size))
    for _ in range(wanted - 1):
        _fill(batch, [(last[number], ends[number], number, True) for number in range(concurrency)])
        assert llama_cpp.llama_decode(context, batch) == 0
        ends = [end + 1 for end in ends]
        last = [_likeliest(context, number, size) for number in range(concurrency)]
    llama_cpp.llama_batch_free(batch)
    return concurrency * wanted


def _fill(batch, entries) -> None:
    batch.n_tokens = len(entries)
    for index, (token, position, sequence, wants_logits) in enumerate(entries):
        batch.token[index], batch.pos[index], batch.logits[index] = token, position, wants_logits
        batch.n_seq_id[index], batch.seq_id[index][0] = 1, sequence


def _likeliest(context, index: int, size: int) -> int:
    logits = llama_cpp.llama_get_logits_ith(context, index)
    return int(np.ctypeslib.as_array(logits, (size,)).argmax())


def _tokens(vocabulary, text: str) -> list[int]:
    data, room = text.encode(), 512
    found = (ctypes.c_int32 * room)()
    return list(found[: llama_cpp.llama_tokenize(vocabulary, data, len(data), found, room, False, True)])


def likelihood(file: str, text: str, window: int) -> None:
    model = llama_cpp.Llama(
        file, n_ctx=window, n_batch=window, logits_all=True, n_threads=1, n_threads_batch=1, verbose=False
    )
    tokens = model.tokenize(Path(text).read_bytes(), add_bos=False, special=False)
    found: list[float] = []
    for start in range(0, len(tokens) - 1, window - 1):
        part = tokens[start : start + window]
        model.reset()
        model.eval(part)
        logits = np.array(model.scores[: len(part) - 1], dtype=np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        chosen = logits[np.arange(len(part) - 1), part[1:]]
        found += (chosen - np.log(np.exp(logits).sum(axis=1))).tolist()
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "speed":
        speed(sys.argv[2])
    else:
        likelihood(sys.argv[2], sys.argv[3], int(sys.argv[4]))
