"""Template tags for every room."""
