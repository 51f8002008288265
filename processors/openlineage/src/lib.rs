//! Emits OpenLineage events about runs of veracity.
