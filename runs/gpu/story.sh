# What the stories vicuna_7b.sh, longchat_16k.sh and fastchat_t5.sh share. Each sets, before it reads this file:
#
#   BASE RECIPE               the model to begin with, and a recipe that is shipped
#   TEMPLATE MAX_LENGTH       that recipe's prompt format, and tokens of a row
#   KIND TINY_LENGTH          for --tiny: what model is made up (runs/gpu/tiny_model.py), and tokens of its rows
#   TUNED                     what the tuned model is called
#
# and may write a stage of the same name anew behind it.

repository=$(cd "$(dirname "$0")/.." && pwd)
output="" data="" is_tiny=false gpus=${GPUS:-4} judge=${JUDGE:-}
while (($#)); do
  case $1 in
    --tiny) is_tiny=true ;;
    --data) data=${2:?--data needs a file of conversations}; shift ;;
    --base) BASE=${2:?--base needs a model}; shift ;;
    --output) output=${2:?--output needs a folder}; shift ;;
    --gpus) gpus=${2:?--gpus needs a number}; shift ;;
    --judge) judge=${2:?--judge needs the name of a model}; shift ;;
    *) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; [[ $1 == --help || $1 == -h ]] && exit 0 || exit 2 ;;
  esac
  shift
done
[[ -x $repository/.venv/bin/fastchat ]] && PATH=$repository/.venv/bin:$PATH
if $is_tiny; then
  data=${data:-$repository/playground/data/dummy.json}
elif [[ -z $data ]]; then
  echo "Which conversations? Give them with --data (ShareGPT, Alpaca, OpenAI messages, …). --tiny needs none." >&2
  exit 2
fi
data=$(realpath "$data")
output=${output:-$TUNED}
mkdir -p "$output" && output=$(cd "$output" && pwd)
cd "$repository"

stage() {  # NAME: run the function of that name unless it was finished before
  if [[ -e $output/done/$1 ]]; then
    echo "== $1: finished before"
    return
  fi
  echo "== $1"
  "$1"
  mkdir -p "$output/done" && touch "$output/done/$1"
}

# The twin: the same stages with a model that is random, and with so few of everything that no number means anything.
RUN=(torchrun --nproc_per_node="$gpus" -m fastchat) VALUES=() COUNT=() CLEAN=()
if $is_tiny; then
  BASE=$output/base MAX_LENGTH=$TINY_LENGTH RUN=(fastchat)
  VALUES=(max_steps=4 global_batch=4 per_device_batch=1 learning_rate=1e-3 precision=fp32 save_every=2)
  COUNT=(--first-n 1 --max-tokens 8 --device cpu)
  CLEAN=(--workers 1)
fi

base() {
  if $is_tiny; then python runs/gpu/tiny_model.py "$KIND" "$BASE" "$data"; else fastchat pull "$BASE"; fi
}

# Without HTML, refusals, duplicates and what the benchmark asks; then cut, so that nothing is lost at the end of a row.
clean() {
  fastchat data clean "$data" "$output/clean.json" --report "$output/clean.html" "${CLEAN[@]}"
  fastchat data split "$output/clean.json" "$output/train.json" --model "$BASE" --max-length "$MAX_LENGTH"
}

# What would be learned, from how much, how long that takes and what it costs. Look at preview.html before going on.
preview() {
  fastchat train preview --data "$output/train.json" --model "$BASE" --template "$TEMPLATE" --max-length "$MAX_LENGTH" \
    --devices "$gpus" --html "$output/preview.html" --show 1
}

# Killed, it goes on from its last checkpoint: start the script again.
train() {
  "${RUN[@]}" train sft "$RECIPE" model="$BASE" data="$output/train.json" held_out=0.02 max_length="$MAX_LENGTH" \
    output="$output/$TUNED" "${VALUES[@]}"
}

# The folder is served as it is: the prompt format and what ends an answer stand in it.
serve() {
  fastchat answer "$output/$TUNED" --message "Who are you?" --max-new-tokens 32
}

# FastChat's 80 questions. Who judges is a choice, and may cost: --judge gpt-4o, with OPENAI_API_KEY.
evaluate() {
  fastchat bench answer --questions fastchat_bench --models "$output/$TUNED" --output "$output/bench" "${COUNT[@]}"
  if [[ -n $judge ]]; then
    fastchat bench run --questions fastchat_bench --models "$output/$TUNED" --judge "$judge" --output "$output/bench"
  fi
}

story() {
  for name in base clean preview train serve evaluate; do stage "$name"; done
  echo "== $output/$TUNED is tuned. Serve it: fastchat up $output/$TUNED"
}
