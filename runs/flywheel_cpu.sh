#!/usr/bin/env bash
# From nothing to a better model in the arena, on one machine without a GPU:
#
#   serve a model -> battles, votes -> tune it by the votes -> battles against its parent -> leaderboard -> verdict
#
#   runs/flywheel_cpu.sh                    # simulated voters; about 20 minutes on two cores
#   runs/flywheel_cpu.sh --people           # you and whom you invite vote, on the page that it names
#   runs/flywheel_cpu.sh --tiny             # every stage with next to nothing; its numbers mean nothing
#   runs/flywheel_cpu.sh --output FOLDER    # where everything goes (default: flywheel); finished stages are kept
#
# docs/flywheel.md says what the numbers mean and what they do not. Needs: pip install "fschat[all]", or `make up` and
# `make test` once. The status is 0 whoever won, and 1 if a stage failed.
set -euo pipefail

# --- The plan. It is written down before the first battle and kept in plan.json; a folder with another plan is refused.

RULE=concise:20          # the simulated voter: whole answers of no more than 20 words
SHARPNESS=2              # at 2, an answer that is twice as long as it should loses to a right one in 80 of 100 cases
MAX_TOKENS=80            # of an answer, about 60 words; what is longer is cut off, and no whole answer
TEMPERATURE=0.8          # of the parent and all that stand against it
TRAINING_PROMPTS=162     # runs/data/flywheel_prompts.jsonl, all of them
TRAINING_REPEATS=1       # battles on each
HELD_OUT_PROMPTS=78      # runs/data/flywheel_held_out.jsonl, all of them; no topic stands in both files
HELD_OUT_REPEATS=3       # half of the battles are the tuned model's, half the placebo's, all against their parent
OUTSIDE_QUESTIONS=80     # first turns of fastchat_bench, which nobody here ever asked
TRAINING_SEED=1 PLACEBO_SEED=2 HELD_OUT_SEED=3 OUTSIDE_SEED=4   # recipe.yaml has that of the training
RECIPE=()                # over runs/flywheel/recipe.yaml

repository=$(cd "$(dirname "$0")/.." && pwd)
output=flywheel is_tiny=false people=false
while (($#)); do
  case $1 in
    --tiny) is_tiny=true ;;
    --people) people=true ;;
    --output) output=${2:?--output needs a folder}; shift ;;
    *) sed -n '2,12s/^# \{0,1\}//p' "$0"; [[ $1 == --help || $1 == -h ]] && exit 0 || exit 2 ;;
  esac
  shift
done
if $is_tiny; then
  TRAINING_PROMPTS=10 HELD_OUT_PROMPTS=6 HELD_OUT_REPEATS=1 OUTSIDE_QUESTIONS=3 MAX_TOKENS=64
  RECIPE=(max_steps=2 global_batch=2 per_device_batch=2)
fi

[[ -x $repository/.venv/bin/fastchat ]] && PATH=$repository/.venv/bin:$PATH
mkdir -p "$output" && output=$(cd "$output" && pwd)
cd "$repository"

plan=$(cat <<JSON
{"is_tiny": $is_tiny, "voters": "$($people && echo people || echo "$RULE")", "rule": "$RULE", "sharpness": $SHARPNESS,
 "max_tokens": $MAX_TOKENS, "temperature": $TEMPERATURE, "training_battles": $((TRAINING_PROMPTS * TRAINING_REPEATS)),
 "held_out_battles": $((HELD_OUT_PROMPTS * HELD_OUT_REPEATS)), "outside_questions": $OUTSIDE_QUESTIONS,
 "seeds": [$TRAINING_SEED, $PLACEBO_SEED, $HELD_OUT_SEED, $OUTSIDE_SEED]}
JSON
)
[[ -e $output/plan.json ]] || echo "$plan" >"$output/plan.json"
if [[ $(cat "$output/plan.json") != "$plan" ]]; then
  echo "$output was begun by another plan, which stands in plan.json there. Choose another folder with --output." >&2
  exit 1
fi

export OMP_WAIT_POLICY=passive  # threads that wait for one another do not spin: other programs may need the core

# --- How a stage is run, and how a system is brought up for it.

stage() {  # NAME: run the function of that name unless it was finished before
  if [[ -e $output/done/$1 ]]; then
    echo "== $1: finished before"
    return
  fi
  echo "== $1"
  "$1"
  mkdir -p "$output/done" && touch "$output/done/$1"
}

system=""
up() {  # CONFIG: returns when the models answer, with the address in $url; a port is found, not chosen
  local line pipe=$output/up.pipe said
  rm -f "$pipe" && mkfifo "$pipe"
  fastchat up --config "$1" >"$pipe" 2>&1 &
  system=$! url=""
  exec {said}<"$pipe" && rm "$pipe"
  while [[ -z $url ]] && read -r line <&"$said"; do
    echo "   $line"
    [[ $line == "Ready at "* ]] && url=${line#Ready at }
  done
  [[ -n $url ]] || { echo "fastchat up ended before it was ready." >&2; return 1; }
  cat <&"$said" >>"$output/up.log" &  # whoever writes into a pipe that nobody reads waits for ever
  exec {said}<&-
}
down() {
  [[ -n $system ]] || return 0
  kill "$system" 2>/dev/null || true
  wait "$system" || true  # and its children with it
  system=""
}
trap down EXIT

config() {  # ARENA, what is special about it, and the adapters that are served beside the parent
  cat <<YAML
port: 0
data_dir: $output/$1
log_dir: $output/logs
models:
  # One worker in one precision for all: parent, tuned and placebo differ in their adapters and in nothing else.
  - model: builtin
    engine: hf
    names: [parent]
    slots: 32
    context_length: 2048
    default_sampling: {temperature: $TEMPERATURE}
    engine_args: {threads: $(nproc)}
    adapters: $3
arenas:
  $1:
    title: The loop, $1
    modes: [battle]
    integrity: {dwell_s: 0, turns_per_minute: null, votes_per_day: null}  # our voters are programs, and quick
$2
YAML
}

forget() {  # ARENA: votes of an attempt that was interrupted, unless they are people's
  $people || rm -rf "${output:?}/$1"
  mkdir -p "$output/$1"
}
vote() {  # ARENA, FILE, prompts, repeats, seed: in an arena that is served
  echo "   The page is open to people as well: $url/a/$1/"
  if $people; then
    read -r -p "   Vote there; 100 votes are a beginning. Enter ends the voting. "
  else
    fastchat arena simulate "$2" --url "$url" --arena "$1" --rule "$RULE" --sharpness "$SHARPNESS" --first-n "$3" \
      --repeats "$4" --max-tokens "$MAX_TOKENS" --parallel 16 --seed "$5" | tee "$output/$1.txt"
  fi
}

# --- 1 and 2. The parent is served as a team would serve it, and battles itself: twice more under other temperatures.
# All its rivals are the parent itself, on purpose. If one of them were another model, or had a better system message,
# then learning from *any* of its answers would help, whatever the votes said, and the placebo would win.

battles() {
  forget training
  config training "    variants:
      parent-cool: {model: parent, temperature: 0.6}
      parent-warm: {model: parent, temperature: 1.0}" "{}" >"$output/training.yaml"
  up "$output/training.yaml"
  vote training runs/data/flywheel_prompts.jsonl "$TRAINING_PROMPTS" "$TRAINING_REPEATS" "$TRAINING_SEED"
  down
}

# --- 3. Two models from one recipe: by the votes, and by the same pairs of which half were turned round (the placebo).

pairs() {
  fastchat train preferences runs/flywheel/recipe.yaml --from-votes "$output/training" --arena training --show 1 \
    --output "$output/pairs.jsonl" --report "$output/pairs.report.json"
  python runs/flywheel/placebo.py "$output/pairs.jsonl" "$output/placebo.jsonl" "$PLACEBO_SEED"
  fastchat arena export --data-dir "$output/training" --arena training --format jsonl --no-text "$output/training.votes.jsonl"
}
tuned() {
  fastchat train dpo runs/flywheel/recipe.yaml output="$output/tuned" "${RECIPE[@]}" \
    --from-votes "$output/training" --arena training
}
placebo() {
  fastchat train dpo runs/flywheel/recipe.yaml output="$output/placebo" "${RECIPE[@]}" data="$output/placebo.jsonl"
}

# --- 4. All three in one arena, on questions that were never trained on; and on other questions, outside any arena.

served_together() {
  config held-out "    matchmaking:
      strict_targets: {parent: [tuned, placebo], tuned: [parent], placebo: [parent]}" \
    "{tuned: $output/tuned, placebo: $output/placebo}" >"$output/held_out.yaml"
  up "$output/held_out.yaml"
}
held_out() {
  forget held-out
  served_together
  vote held-out runs/data/flywheel_held_out.jsonl "$HELD_OUT_PROMPTS" "$HELD_OUT_REPEATS" "$HELD_OUT_SEED"
}
outside() {
  [[ -n $system ]] || served_together
  python runs/flywheel/outside.py questions "$output/outside_questions.jsonl" "$OUTSIDE_QUESTIONS"
  fastchat bench answer --questions "$output/outside_questions.jsonl" --output "$output/outside" --api-url "$url" \
    --models parent tuned placebo --temperature "$TEMPERATURE" --max-tokens "$MAX_TOKENS" --parallel 32
  python runs/flywheel/outside.py votes "$output/outside" "$output/outside.votes.jsonl" "$RULE" "$SHARPNESS" "$OUTSIDE_SEED"
  down
}

# --- 5. Leaderboards with intervals, and the verdict that follows from them.

boards() {
  fastchat leaderboard build --arena held-out --data-dir "$output/held-out" --anchor parent \
    --output "$output/held_out.board.json"
  fastchat leaderboard build --votes "$output/outside.votes.jsonl" --anchor parent --output "$output/outside.board.json"
}

stage battles
stage pairs
stage tuned
stage placebo
stage held_out
stage outside
down
stage boards
for board in held_out outside; do
  echo "== leaderboard: $board"
  fastchat leaderboard show "$output/$board.board.json"
done
echo "== verdict"
python runs/flywheel/verdict.py "$output"
echo "== Everything is in $output. Serve all three and go on voting: fastchat up --config $output/held_out.yaml"
