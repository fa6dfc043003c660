"""Training: what is trained on, how it is packed, who trains it, and where a tuned model came from."""
