"""From one server to many, with the lab as the case."""
