"""Training encoders: networks that read a generator's w+ off an image."""
