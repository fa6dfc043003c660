"""openvino_likelihood FILE TEXT WINDOW → the natural-log probability of each token of the text, by OpenVINO."""

import json
import sys
from pathlib import Path

import numpy as np

from fastchat.engines.openvino.host import import_library


def main(file: str, text: str, window: int) -> None:
    library = import_library()
    import openvino

    scheduler = library.SchedulerConfig()
    scheduler.num_kv_blocks, scheduler.max_num_batched_tokens, scheduler.enable_prefix_caching = 64, window, False
    pipeline = library.ContinuousBatchingPipeline(file, scheduler, "CPU", {"INFERENCE_NUM_THREADS": 1})
    encoded = pipeline.get_tokenizer().encode(Path(text).read_text(), add_special_tokens=False)
    tokens = encoded.input_ids.data.reshape(-1)
    found: list[float] = []
    for number, start in enumerate(range(0, len(tokens) - 1, window - 1)):
        part = tokens[start : start + window]
        config = pipeline.get_config()
        config.max_new_tokens, config.logprobs, config.echo = 1, 1, True
        handle = pipeline.add_request(number, openvino.Tensor(part[None].astype(np.int64)), config)
        told: list[float] = []
        while pipeline.has_non_finished_requests():
            pipeline.step()
            while handle.can_read():
                told += [value for output in handle.read().values() for value in output.generated_log_probs]
        found += told[1 : len(part)]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
