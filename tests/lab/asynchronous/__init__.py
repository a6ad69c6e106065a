"""The chapter Asynchronous programming, proven."""
