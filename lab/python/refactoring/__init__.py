"""One function that issues certificates, in every stage of one refactoring."""
