"""What the lab records: pictures and outputs that pages quote."""
