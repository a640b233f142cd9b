"""Make a data set: from a recipe to shards on disk."""
