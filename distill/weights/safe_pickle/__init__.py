"""Read pickles without running anything that they ask for."""
