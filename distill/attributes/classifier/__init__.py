"""Train a small classifier on labelled pictures whose confidence can be believed, and say how good it is."""
