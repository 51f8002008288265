//! Ends runs of veracity in times that are closed: holidays, maintenance windows.
