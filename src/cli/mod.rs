//! The `veracity` command.
