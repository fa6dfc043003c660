"""What we measure ourselves against, one script a question. `python -m benchmarks --help` tells how to run them."""
