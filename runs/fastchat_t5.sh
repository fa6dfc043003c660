#!/usr/bin/env bash
# FastChat-T5: an encoder reads the conversation so far, a decoder answers.
#
#   clean -> preview -> train -> serve -> evaluate
#
#   runs/fastchat_t5.sh --data conversations.json            # four GPUs; --gpus N, --base google/flan-t5-xl
#   runs/fastchat_t5.sh --tiny                               # a random model on a CPU, in a minute
#
# Everything goes to fastchat-t5-3b (--output FOLDER); finished stages are kept, and what was interrupted goes on.

set -euo pipefail
BASE=google/flan-t5-xl RECIPE=fastchat_t5 TEMPLATE=fastchat-t5 MAX_LENGTH=2048 TUNED=fastchat-t5-3b
KIND=t5 TINY_LENGTH=512
source "$(dirname "$0")/gpu/story.sh"
story
