"""Soft masks of the parts of pictured people: by landmarks, by a generator's activations, by a file of the user's."""
