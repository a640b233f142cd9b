"""StarGAN: one translator for many attributes of one labelled set of pictures."""
