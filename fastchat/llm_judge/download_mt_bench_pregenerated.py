"""`python3 -m fastchat.llm_judge.download_mt_bench_pregenerated`: MT-bench answers of 31 models, GPT-4's verdicts."""

from fastchat.__main__ import run_command

if __name__ == "__main__":
    run_command("download_mt_bench_pregenerated")
