"""What each page shows: operations asked, and their answers put into the words and figures of a template."""
