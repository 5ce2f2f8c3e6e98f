"""What feeds `news.raw`."""
