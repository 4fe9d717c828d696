"""One file a step; a step that a release has shipped is never changed."""
