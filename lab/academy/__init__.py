"""The domain that all chapters share: learners, courses, lessons, enrollments, certificates."""
