"""Finding and taking out of texts what leads to a person. It finds most, never all."""
