"""Networks that read named scores off faces: the built-in ones, and a user's."""
