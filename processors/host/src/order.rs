//! In which order processors get a report: Kahn's algorithm, by dependency, then priority.

use std::collections::{BTreeMap, BTreeSet};

/// One thing to be put in order.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name, unique.
    pub name: String,
    /// Names of those that come before it.
    pub after: Vec<String>,
    /// Among those that could come next, the lowest numbers do.
    pub priority: i64,
}

/// Why there is no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderError {
    /// Some come after each other in a circle: `a`, `b`, `a`.
    Circular(Vec<String>),
    /// `name` comes after something that is not there.
    Missing {
        /// The one that comes after it.
        name: String,
        /// What is not there.
        dependency: String,
    },
}

/// The names in waves. Those of one wave have the same priority and do not depend on each
/// other; sorted by name.
///
/// # Errors
///
/// Every dependency that is missing, and circles: breaking each of them leaves none.
pub fn waves(nodes: &[Node]) -> Result<Vec<Vec<String>>, Vec<OrderError>> {
    let names: BTreeSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let mut errors: Vec<OrderError> = nodes
        .iter()
        .flat_map(|node| node.after.iter().map(move |after| (node, after)))
        .filter(|(_, after)| !names.contains(after.as_str()))
        .map(|(node, after)| OrderError::Missing {
            name: node.name.clone(),
            dependency: after.clone(),
        })
        .collect();
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let mut followers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        let before: BTreeSet<&str> = node.after.iter().map(String::as_str).collect();
        let before: Vec<&str> = before.intersection(&names).copied().collect();
        waiting.insert(&node.name, before.len());
        for name in before {
            followers.entry(name).or_default().push(&node.name);
        }
    }
    let priorities: BTreeMap<&str, i64> = nodes
        .iter()
        .map(|node| (node.name.as_str(), node.priority))
        .collect();
    let is_free = |waiting: &BTreeMap<&str, usize>, name: &str| waiting.get(name) == Some(&0);
    let mut ready: BTreeSet<(i64, &str)> = BTreeSet::new();
    ready.extend(
        nodes
            .iter()
            .map(|node| (node.priority, node.name.as_str()))
            .filter(|(_, name)| is_free(&waiting, name)),
    );
    let mut waves = Vec::new();
    loop {
        let wave: Vec<&str> = match (ready.first(), waiting.keys().next()) {
            (Some(&(priority, _)), _) => {
                let next = ready.iter().take_while(|(next, _)| *next == priority);
                next.map(|(_, name)| *name).collect()
            }
            (None, Some(start)) => {
                let circle = circle(start, nodes, &waiting);
                let mut names: Vec<String> = circle.iter().map(|&name| name.to_owned()).collect();
                names.push(names[0].clone());
                errors.push(OrderError::Circular(names));
                // As if it were broken, so that other circles are found.
                circle
            }
            (None, None) => break,
        };
        for name in &wave {
            ready.remove(&(priorities[name], *name));
            waiting.remove(name);
        }
        for follower in wave.iter().flat_map(|name| followers.get(name)).flatten() {
            if let Some(count) = waiting.get_mut(follower) {
                *count -= 1;
            }
            if is_free(&waiting, follower) {
                ready.insert((priorities[follower], follower));
            }
        }
        waves.push(wave.into_iter().map(str::to_owned).collect());
    }
    if errors.is_empty() {
        Ok(waves)
    } else {
        Err(errors)
    }
}

/// A circle among those that still wait, beginning with its first name.
fn circle<'n>(
    start: &'n str,
    nodes: &'n [Node],
    waiting: &BTreeMap<&'n str, usize>,
) -> Vec<&'n str> {
    let mut path: Vec<&str> = vec![start];
    loop {
        let last = path[path.len() - 1];
        // Whoever waits, waits for another that waits; so this walk ends in a circle.
        let next = nodes
            .iter()
            .filter(|node| node.name == last)
            .flat_map(|node| &node.after)
            .map(String::as_str)
            .find(|name| waiting.contains_key(name))
            .unwrap_or(last);
        if let Some(first) = path.iter().position(|name| *name == next) {
            let mut circle = path.split_off(first);
            let names = circle.iter().enumerate();
            let least = names.min_by_key(|(_, name)| **name);
            let turn = least.map_or(0, |(index, _)| index);
            circle.rotate_left(turn);
            return circle;
        }
        path.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node((name, after, priority): &(&str, &[&str], i64)) -> Node {
        Node {
            name: (*name).to_owned(),
            after: after.iter().map(|&name| name.to_owned()).collect(),
            priority: *priority,
        }
    }

    fn order(nodes: &[(&str, &[&str], i64)]) -> Result<String, Vec<OrderError>> {
        let nodes: Vec<Node> = nodes.iter().map(node).collect();
        let waves = waves(&nodes)?;
        let texts: Vec<String> = waves.iter().map(|wave| wave.join(" ")).collect();
        Ok(texts.join(" | "))
    }

    #[test]
    fn dependencies_come_first_then_low_priorities() {
        type Case = (
            &'static str,
            &'static [(&'static str, &'static [&'static str], i64)],
            &'static str,
        );
        let cases: &[Case] = &[
            ("nothing", &[], ""),
            ("one wave", &[("b", &[], 0), ("a", &[], 0)], "a b"),
            ("priorities", &[("a", &[], 9), ("b", &[], 1)], "b | a"),
            (
                "a dependency outweighs",
                &[("a", &["b"], 1), ("b", &[], 9)],
                "b | a",
            ),
            (
                "a diamond",
                &[
                    ("d", &["b", "c"], 0),
                    ("c", &["a"], 0),
                    ("b", &["a"], 0),
                    ("a", &[], 0),
                ],
                "a | b c | d",
            ),
            (
                "named twice",
                &[("a", &["b", "b"], 0), ("b", &[], 0)],
                "b | a",
            ),
        ];
        for (label, nodes, expected) in cases {
            assert_eq!(order(nodes).as_deref(), Ok(*expected), "{label}");
        }
    }

    #[test]
    fn what_is_missing_and_every_circle_is_named() {
        let circle =
            |names: &[&str]| OrderError::Circular(names.iter().map(|&n| n.to_owned()).collect());
        let circular = |names: &[&str]| vec![circle(names)];
        let missing = order(&[("a", &["x"], 0), ("b", &["a", "y"], 0)]).unwrap_err();
        assert_eq!(missing.len(), 2);
        assert_eq!(order(&[("a", &["a"], 0)]), Err(circular(&["a", "a"])));
        let nodes: &[(&str, &[&str], i64)] = &[
            ("free", &[], 0),
            ("follower", &["c"], 0),
            ("c", &["b"], 0),
            ("b", &["a"], 0),
            ("a", &["c", "free"], 0),
        ];
        assert_eq!(order(nodes), Err(circular(&["a", "c", "b", "a"])));
        let nodes: &[(&str, &[&str], i64)] = &[
            ("between", &["b", "gone"], 0),
            ("d", &["between", "e"], 0),
            ("e", &["d"], 0),
            ("b", &["a"], 0),
            ("a", &["b"], 0),
            ("last", &["e"], 0),
        ];
        let gone = OrderError::Missing {
            name: "between".to_owned(),
            dependency: "gone".to_owned(),
        };
        let expected = [gone, circle(&["a", "b", "a"]), circle(&["d", "e", "d"])];
        assert_eq!(order(nodes), Err(expected.to_vec()));
    }
}
