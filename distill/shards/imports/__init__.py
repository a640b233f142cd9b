"""People's own pairs and triplets: folders of pictures in a known layout, made into a data set of shards."""
