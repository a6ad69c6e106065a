"""The chapter on GraphQL: one schema over the academy, made with Strawberry."""
