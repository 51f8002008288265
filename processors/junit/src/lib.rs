//! Writes the report of veracity as JUnit XML.
