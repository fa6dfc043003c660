"""Benchmarks of fixed questions (MMLU and the like): lm-eval's tasks, asked of a model of ours or of anybody's API."""
