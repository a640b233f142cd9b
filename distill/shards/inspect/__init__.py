"""A page and a contact sheet of a data set, to look at."""
