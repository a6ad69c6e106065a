"""Sign-ups in one wide table, and in tables of their own."""
