"""The applications that every measured server serves alike."""
