"""The lab on more than one process, and more than one machine's worth of trouble."""
