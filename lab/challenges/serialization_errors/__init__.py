"""An endpoint that answers 500 to requests that deserve 400, or 200."""
