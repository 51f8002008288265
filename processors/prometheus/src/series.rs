//! Metrics with their labels: what may be written, and how much of it.

use std::collections::BTreeMap;

use veracity_processor::MetricKind;

/// The most characters of a label's value.
const LONGEST_VALUE: usize = 256;

/// The metrics of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The name.
    pub name: String,
    /// What they say, in one line.
    pub help: String,
    /// What their values mean.
    pub kind: MetricKind,
    /// Values by labels, in the order in which they were added.
    pub samples: Vec<(Labels, f64)>,
}

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// Metrics that may be shown together: no series twice, no name of two kinds, not too many.
#[derive(Debug)]
pub struct Collection {
    families: Vec<Family>,
    /// Where the sample of a name and labels is.
    places: BTreeMap<(String, Labels), (usize, usize)>,
    room: usize,
    /// How many series were left out.
    pub dropped: u64,
}

/// Why a series was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is one of that name and these labels: its family, and its place there.
    Known((usize, usize)),
    /// There is no room, or it could not be read.
    Dropped,
}

impl Collection {
    /// An empty one for at most `room` series.
    pub fn new(room: usize) -> Self {
        Self {
            families: Vec::new(),
            places: BTreeMap::new(),
            room,
            dropped: 0,
        }
    }

    /// Adds the `value` of `name` for `labels`, whose values are made fit to be shown.
    ///
    /// # Errors
    ///
    /// Why it was not added; that is counted, except for one that is known.
    pub fn add(
        &mut self,
        (name, kind, help): (&str, MetricKind, &str),
        labels: &[(&str, &str)],
        value: f64,
    ) -> Result<(), Refused> {
        let labels: Labels = labels
            .iter()
            .map(|&(name, value)| (name.to_owned(), shown(value)))
            .collect();
        let place = self.families.iter().position(|family| family.name == name);
        let fits = is_name(name, ":")
            && labels
                .keys()
                .all(|label| is_name(label, "") && !label.starts_with("__"))
            && place.is_none_or(|place| self.families[place].kind == kind);
        if !fits {
            self.dropped += 1;
            return Err(Refused::Dropped);
        }
        let series = (name.to_owned(), labels);
        if let Some(&place) = self.places.get(&series) {
            return Err(Refused::Known(place));
        }
        if self.places.len() >= self.room {
            self.dropped += 1;
            return Err(Refused::Dropped);
        }
        let place = place.unwrap_or_else(|| {
            self.families.push(Family {
                name: name.to_owned(),
                help: help.to_owned(),
                kind,
                samples: Vec::new(),
            });
            self.families.len() - 1
        });
        let samples = &mut self.families[place].samples;
        samples.push((series.1.clone(), value));
        self.places.insert(series, (place, samples.len() - 1));
        Ok(())
    }

    /// The same; the value of one that is known is replaced.
    pub fn set(&mut self, about: (&str, MetricKind, &str), labels: &[(&str, &str)], value: f64) {
        if let Err(Refused::Known((family, sample))) = self.add(about, labels, value) {
            self.families[family].samples[sample].1 = value;
        }
    }

    /// All of it, in the order in which it was added.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// Makes room for one more series, which is then added.
    pub fn add_last(
        &mut self,
        metric: (&str, MetricKind, &str),
        labels: &[(&str, &str)],
        value: f64,
    ) {
        self.room = usize::MAX;
        // It is ours, so its names are good and nobody else has it.
        let _ = self.add(metric, labels, value);
    }
}

/// Whether `name` is ASCII letters, digits, `_` and `more`, and does not begin with a digit.
pub fn is_name(name: &str, more: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || more.contains(c))
}

/// `value` as the value of a label: cut, and without control characters, at which readers
/// may stop; a line break can be escaped and stays.
pub fn shown(value: &str) -> String {
    let clean = value.chars().map(|c| match c {
        '\n' => '\n',
        c if c.is_control() => '\u{fffd}',
        c => c,
    });
    match value.char_indices().nth(LONGEST_VALUE) {
        Some(_) => clean.take(LONGEST_VALUE).chain(['…']).collect(),
        None => clean.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: (&str, MetricKind, &str) = ("a", MetricKind::Gauge, "x");

    #[test]
    fn no_series_is_there_twice_and_there_are_not_too_many() {
        let mut all = Collection::new(3);
        assert_eq!(all.add(A, &[("l", "1")], 1.0), Ok(()));
        assert_eq!(all.add(A, &[("l", "1")], 2.0), Err(Refused::Known((0, 0))));
        assert_eq!(all.add(A, &[("l", "nul \0")], 1.0), Ok(()));
        assert_eq!(
            all.add(A, &[("l", "nul \u{1}")], 1.0),
            Err(Refused::Known((0, 1))),
            "shown alike"
        );
        assert_eq!(all.add(A, &[], 1.0), Ok(()));
        all.set(A, &[("l", "1")], 7.0);
        assert_eq!(all.families()[0].samples[0].1, 7.0);
        assert_eq!(all.add(A, &[("l", "4")], 1.0), Err(Refused::Dropped));
        assert_eq!(all.dropped, 1);
        all.add_last(("b", MetricKind::Gauge, ""), &[], 1.0);
        assert_eq!(all.families().len(), 2);
    }

    #[test]
    fn what_prometheus_would_refuse_is_left_out() {
        let mut all = Collection::new(10);
        all.add(A, &[], 1.0).unwrap();
        let cases = [
            ("another kind", ("a", MetricKind::Counter), "l"),
            ("a dash", ("a-b", MetricKind::Gauge), "l"),
            ("a line break", ("a\nb 1", MetricKind::Gauge), "l"),
            ("a digit first", ("1a", MetricKind::Gauge), "l"),
            ("no name", ("", MetricKind::Gauge), "l"),
            ("other letters", ("größe", MetricKind::Gauge), "l"),
            ("a label with a dot", ("b", MetricKind::Gauge), "a.b"),
            ("a label with a colon", ("b", MetricKind::Gauge), "a:b"),
            ("a reserved label", ("b", MetricKind::Gauge), "__name__"),
        ];
        for (label, (name, kind), key) in cases {
            let refused = all.add((name, kind, ""), &[(key, "v")], 1.0);
            assert_eq!(refused, Err(Refused::Dropped), "{label}");
        }
        assert_eq!((all.families().len(), all.dropped), (1, 9));
        all.add(("a:b", MetricKind::Gauge, ""), &[], 1.0).unwrap();
    }

    #[test]
    fn values_of_labels_are_cut_and_made_fit() {
        let long = shown(&"é".repeat(10_000));
        assert_eq!(long.chars().count(), LONGEST_VALUE + 1);
        assert_eq!(
            shown("a\r\nb\t\0\u{9b}\u{202e}"),
            "a\u{fffd}\nb\u{fffd}\u{fffd}\u{fffd}\u{202e}"
        );
    }
}
