"""History in, model bundle out."""
