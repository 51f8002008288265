//! Posts the report of veracity to Microsoft Teams.
