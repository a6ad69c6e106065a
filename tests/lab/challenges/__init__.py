"""Each challenge: broken as its page shows, and mended."""
