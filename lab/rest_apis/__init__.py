"""The chapter on REST APIs: one HTTP API over the academy, made with Django REST framework."""
