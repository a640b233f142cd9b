"""Where tensors come from: the table of weights, downloads, and one reader for each file format. Nothing runs."""
