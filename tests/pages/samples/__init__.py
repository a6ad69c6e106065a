"""The Django application that the samples on the pages belong to."""
