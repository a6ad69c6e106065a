"""The Django chapter: the pages of the academy, as a server sends them."""
