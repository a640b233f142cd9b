"""Train networks: one loop for every trainer, the data it reads and the state it keeps."""
