"""What runs inside BottleCRM's own environment; nothing here is imported by ponte."""
