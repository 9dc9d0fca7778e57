"""The dining room: the results that JSON, terminal and alerts show."""
