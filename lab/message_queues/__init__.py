"""Work that is sent to another process: tasks, brokers, and what becomes of a message."""
