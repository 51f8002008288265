//! Writes the report of veracity as SARIF 2.1.0.
