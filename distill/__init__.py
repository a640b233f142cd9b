"""StyleGAN2 distillation: paired data from a generator, and students trained on them."""

__version__ = "0.1.0"
