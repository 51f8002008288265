//! Writes the report of veracity as Markdown, for GitHub step summaries too.
