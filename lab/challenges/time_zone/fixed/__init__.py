"""As it should be."""
