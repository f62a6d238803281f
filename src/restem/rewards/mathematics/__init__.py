"""Mathematical answers: found in a text, written in one way, read as one of the forms of answers, and compared."""
