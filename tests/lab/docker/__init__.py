"""The chapter Docker, proven on a real engine where one answers."""
