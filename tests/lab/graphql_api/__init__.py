"""The chapter on GraphQL, proven."""
