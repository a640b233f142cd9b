"""How a student of measured changes answers: what is asked of it beside what a scorer sees change."""
