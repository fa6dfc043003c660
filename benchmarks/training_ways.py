"""From a file of conversations to what a trainer reads: python -m benchmarks.training_ways FILE TOKENIZER LENGTH"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.peers.stopwatch import report


def preprocess(file: Path, tokenizer_folder: Path, length: int) -> Callable[[], Mapping[str, int]]:
    from transformers import AutoTokenizer

    from fastchat.data.readers.conversations import read_conversations
    from fastchat.train.chat_format import find_format
    from fastchat.train.encoding import Encoder
    from fastchat.train.token_store import digest_of_files, open_store

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)

    def work() -> Mapping[str, int]:
        chat_format = find_format(str(tokenizer_folder), tokenizer, "vicuna_v1.1")
        encoder = Encoder(tokenizer, chat_format, max_length=length)
        with tempfile.TemporaryDirectory(dir=file.parent) as cache:
            store = open_store(Path(cache), encoder, digest_of_files([file]), lambda: read_conversations(file))
            counts = store.counts
            return {
                "samples": len(store),
                "tokens": counts.tokens,
                "trained": counts.trained,
                "bytes": store.nbytes,
            }

    return work


if __name__ == "__main__":
    file, folder, length = sys.argv[1:]
    report(preprocess(Path(file), Path(folder), int(length)))
