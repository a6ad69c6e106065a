"""The backend that the handbook's pages quote: one Django project, one package a chapter."""
