"""Choose rows of a data set anew from the numbers that are stored with them, and copy them into another one."""
