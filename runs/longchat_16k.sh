#!/usr/bin/env bash
# LongChat: a model made for 4096 tokens learns to read 16384. Its positions are condensed by rope_parameters, and long
# conversations stay whole:
#
#   clean -> preview -> train -> serve -> evaluate
#
#   runs/longchat_16k.sh --data long_conversations.json --gpus 8
#   runs/longchat_16k.sh --tiny                              # 128 tokens become 512, on a CPU, in a minute
#
# Everything goes to longchat-7b-16k (--output FOLDER); finished stages are kept, and what was interrupted goes on.

set -euo pipefail
BASE=lmsys/vicuna-7b-v1.5 RECIPE=longchat_16k TEMPLATE=vicuna_v1.1 MAX_LENGTH=16384 TUNED=longchat-7b-16k
KIND=short-llama TINY_LENGTH=512
source "$(dirname "$0")/gpu/story.sh"
story
