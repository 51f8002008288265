//! Posts the report of a run to Slack: to an incoming webhook, or as an app to a channel.
//!
//! A message is one, however much has failed, and keeps to the limits of Block Kit. What
//! comes from data is shown as text: nothing in it mentions anybody, leads anywhere or
//! changes how the message looks. `README.md` is the page for people.

mod answer;
mod blocks;
mod check;
mod mrkdwn;
mod settings;
mod slack;

pub use settings::Settings;
pub use slack::Slack;
