"""What Python offers a backend, each module the subject of one page."""
