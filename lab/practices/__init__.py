"""The code behind the practices: before and after, attacked and defended."""
