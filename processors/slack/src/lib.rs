//! Posts the report of veracity to Slack.
