#!/usr/bin/env bash
# Vicuna, from conversations to a model that is served and examined:
#
#   clean -> preview -> train (three epochs, 128 conversations an update, as its authors) -> serve -> evaluate
#
#   runs/vicuna_7b.sh --data conversations.json              # four GPUs of 80 GB; --gpus N, --base MODEL
#   runs/vicuna_7b.sh --data conversations.json --judge gpt-4o
#   runs/vicuna_7b.sh --tiny                                 # a random model on a CPU, in a minute
#
# Everything goes to vicuna-7b (--output FOLDER); finished stages are kept, and what was interrupted goes on.

set -euo pipefail
BASE=meta-llama/Llama-2-7b-hf RECIPE=vicuna_7b TEMPLATE=vicuna_v1.1 MAX_LENGTH=2048 TUNED=vicuna-7b
KIND=llama TINY_LENGTH=512
source "$(dirname "$0")/gpu/story.sh"
story
