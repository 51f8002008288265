//! The titles of messages.

/// A title with places for facts: `{suite}: {count} events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Title(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

/// A place for a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Suite,
    Date,
    Run,
    Count,
    Events,
}

const PLACES: [(&str, Place); 5] = [
    ("suite", Place::Suite),
    ("date", Place::Date),
    ("run", Place::Run),
    ("count", Place::Count),
    ("events", Place::Events),
];

impl Title {
    /// The title that `template` says; `{{` and `}}` stand for braces.
    ///
    /// # Errors
    ///
    /// A place that is not known, a brace that is not closed, nothing at all.
    pub(crate) fn read(template: &str) -> Result<Self, String> {
        if template.trim().is_empty() {
            return Err("a title must not be empty".to_owned());
        }
        let (mut parts, mut text, mut rest) = (Vec::new(), String::new(), template);
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                text.push_str(brace);
                rest = after;
                continue;
            }
            let lonely = || format!("a brace is not closed, `{brace}{brace}` stands for a brace");
            if brace == "}" {
                return Err(lonely());
            }
            let (name, after) = rest.split_once('}').ok_or_else(lonely)?;
            let place = PLACES.iter().find(|(known, _)| *known == name);
            let (_, place) = place.ok_or_else(|| {
                let names = PLACES.map(|(name, _)| format!("`{{{name}}}`"));
                format!("there is no `{{{name}}}`, there are {}", names.join(", "))
            })?;
            parts.push(Part::Text(std::mem::take(&mut text)));
            parts.push(Part::Place(*place));
            rest = after;
        }
        text.push_str(rest);
        parts.push(Part::Text(text));
        Ok(Self(parts))
    }

    /// The title with what `fact` says of each place.
    pub(crate) fn fill(&self, fact: impl Fn(Place) -> String) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Place(place) => fact(*place),
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_wrong_ones_are_found() {
        let cases = [
            ("plain", Ok("plain")),
            ("{suite}: {count} x", Ok("<Suite>: <Count> x")),
            ("{date}{run}{events}", Ok("<Date><Run><Events>")),
            ("{{suite}} {suite}", Ok("{suite} <Suite>")),
            ("{{{suite}}}", Ok("{<Suite>}")),
            ("", Err("must not be empty")),
            ("  ", Err("must not be empty")),
            ("{siute}", Err("there is no `{siute}`, there are `{suite}`")),
            ("{}", Err("there is no `{}`")),
            ("a {suite", Err("`{{` stands for a brace")),
            ("a } b", Err("`}}` stands for a brace")),
        ];
        for (template, expected) in cases {
            let filled = Title::read(template).map(|title| {
                let fact = |place| format!("<{place:?}>");
                title.fill(fact)
            });
            match (&filled, expected) {
                (Ok(filled), Ok(expected)) => assert_eq!(filled, expected, "{template}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{template}: {error}"),
                (filled, _) => panic!("{template}: {filled:?}"),
            }
        }
    }
}
