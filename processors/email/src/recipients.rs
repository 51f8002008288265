//! Who gets which results.

use lettre::message::Mailbox;
use veracity_processor::{AssertionResult, Report, Severity, Status};

/// Everybody who may get a mail, each address once.
#[derive(Debug, Default)]
pub(crate) struct Recipients(Vec<Recipient>);

/// One address.
#[derive(Debug)]
pub(crate) struct Recipient {
    mailbox: Mailbox,
    /// Which results it gets; those that match any of them. All if there are none.
    wanted: Vec<Wanted>,
}

/// A choice of results; an empty list stands for all.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) severities: Vec<Severity>,
    pub(crate) checks: Vec<String>,
    pub(crate) tags: Vec<String>,
}

/// Recipients who get the same mail.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) recipients: Vec<&'a Mailbox>,
    /// The results that did not pass and concern them, in the order of the report.
    pub(crate) results: Vec<&'a AssertionResult>,
    /// Whether they get only a choice of the results.
    pub(crate) chosen: bool,
}

impl Recipient {
    pub(crate) fn new(mailbox: Mailbox, wanted: Option<Wanted>) -> Self {
        Self {
            mailbox,
            wanted: wanted.into_iter().collect(),
        }
    }
}

impl Wanted {
    fn matches(&self, result: &AssertionResult) -> bool {
        fn any<T: PartialEq>(wanted: &[T], found: &[T]) -> bool {
            wanted.is_empty() || found.iter().any(|one| wanted.contains(one))
        }
        any(&self.severities, &[result.severity])
            && any(&self.checks, std::slice::from_ref(&result.check))
            && any(&self.tags, &result.tags)
    }
}

impl Recipients {
    /// Adds `recipient`; named twice, it gets what either of them gets.
    pub(crate) fn add(&mut self, recipient: Recipient) {
        let address: &str = recipient.mailbox.email.as_ref();
        let same = |known: &&mut Recipient| {
            let known: &str = known.mailbox.email.as_ref();
            known.eq_ignore_ascii_case(address)
        };
        match self.0.iter_mut().find(same) {
            None => self.0.push(recipient),
            Some(known) if known.wanted.is_empty() => {}
            Some(known) if recipient.wanted.is_empty() => known.wanted.clear(),
            Some(known) => known.wanted.extend(recipient.wanted),
        }
    }

    /// Who gets a mail about `report`. Those who get everything always do; the others
    /// only if a result that concerns them did not pass.
    pub(crate) fn groups<'a>(&'a self, report: &'a Report) -> Vec<Group<'a>> {
        let mut groups: Vec<(Vec<usize>, Group<'a>)> = Vec::new();
        for recipient in &self.0 {
            let chosen = !recipient.wanted.is_empty();
            let concerns = |result: &AssertionResult| {
                !matches!(result.status, Status::Passed | Status::Skipped)
                    && (!chosen || recipient.wanted.iter().any(|wanted| wanted.matches(result)))
            };
            let results: Vec<usize> = (0..report.results.len())
                .filter(|&index| concerns(&report.results[index]))
                .collect();
            if chosen && results.is_empty() {
                continue;
            }
            let same = groups
                .iter_mut()
                .find(|(of, group)| group.chosen == chosen && *of == results);
            match same {
                Some((_, group)) => group.recipients.push(&recipient.mailbox),
                None => {
                    let group = Group {
                        recipients: vec![&recipient.mailbox],
                        results: results
                            .iter()
                            .map(|&index| &report.results[index])
                            .collect(),
                        chosen,
                    };
                    groups.push((results, group));
                }
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }
}

#[cfg(test)]
mod tests {
    use veracity_processor::sample_report;

    use super::*;

    fn wanted(severities: &[Severity], checks: &[&str], tags: &[&str]) -> Option<Wanted> {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Some(Wanted {
            severities: severities.to_vec(),
            checks: owned(checks),
            tags: owned(tags),
        })
    }

    /// `a@x b@x: 7` for each group.
    fn groups(recipients: Vec<(&str, Option<Wanted>)>, report: &Report) -> Vec<String> {
        let mut all = Recipients::default();
        for (address, wanted) in recipients {
            all.add(Recipient::new(address.parse().unwrap(), wanted));
        }
        let show = |group: &Group<'_>| {
            let to = group.recipients.iter().map(|to| to.email.to_string());
            let to = to.collect::<Vec<_>>().join(" ");
            format!(
                "{to}: {}{}",
                group.results.len(),
                if group.chosen { " chosen" } else { "" }
            )
        };
        all.groups(report).iter().map(show).collect()
    }

    #[test]
    fn recipients_of_the_same_results_share_a_mail() {
        use Severity::{P0, P1};
        let report = sample_report();
        let of = |recipients| groups(recipients, &report);
        assert_eq!(of(vec![("a@x", None), ("b@x", None)]), ["a@x b@x: 7"]);
        assert_eq!(
            of(vec![
                ("a@x", None),
                ("p0@x", wanted(&[P0], &[], &[])),
                ("fleet@x", wanted(&[], &[], &["fleet"])),
                ("weather@x", wanted(&[P1], &["Weather is known"], &[])),
                ("nobody@x", wanted(&[P0], &["Weather is known"], &[])),
            ]),
            ["a@x: 7", "p0@x fleet@x: 1 chosen", "weather@x: 1 chosen"]
        );
    }

    #[test]
    fn an_address_named_twice_gets_one_mail() {
        let report = sample_report();
        let p0 = || wanted(&[Severity::P0], &[], &[]);
        let p2 = wanted(&[Severity::P2], &[], &[]);
        assert_eq!(
            groups(vec![("a@x", p0()), ("A@X", None)], &report),
            ["a@x: 7"]
        );
        assert_eq!(
            groups(vec![("a@x", None), ("a@x", p0())], &report),
            ["a@x: 7"]
        );
        assert_eq!(
            groups(vec![("a@x", p0()), ("a@x", p2)], &report),
            ["a@x: 2 chosen"]
        );
    }

    #[test]
    fn a_choice_of_nothing_is_still_told_only_what_did_not_pass() {
        let mut report = sample_report();
        report
            .results
            .retain(|result| result.status == Status::Passed);
        let everything = wanted(&[], &[], &[]);
        assert_eq!(
            groups(vec![("a@x", None), ("b@x", everything)], &report),
            ["a@x: 0"]
        );
    }
}
