"""``core new``: a paper with all its rooms, to be filled."""
