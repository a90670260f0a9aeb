"""What several test areas share: a world that decides and applies without an engine or a disk."""
