"""What public clients see."""
