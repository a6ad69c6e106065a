"""The lab in containers: what its images and services run."""
