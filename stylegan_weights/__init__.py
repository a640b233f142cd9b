"""Generator weights: the table of known networks, small embedded teachers, their model cards."""
