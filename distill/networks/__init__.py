"""Networks of the students, what they are judged by, and their files."""
