"""What a benchmark writes: JSON, a table in Markdown, a figure and one page of HTML."""
