"""Tags of the academy's templates."""
