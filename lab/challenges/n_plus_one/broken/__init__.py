"""As it was found."""
