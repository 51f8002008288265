//! Wall and CPU time of things that take turns.

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

/// What one run of something took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    wall: Duration,
    /// User and system time of all threads of the process.
    cpu: Duration,
}

impl Cost {
    pub fn wall_ms(self) -> f64 {
        self.wall.as_secs_f64() * 1e3
    }

    pub fn cpu_ms(self) -> f64 {
        self.cpu.as_secs_f64() * 1e3
    }
}

/// Runs something once, to its end.
pub type Contender<'a> = &'a dyn Fn() -> Result<(), String>;

/// The median costs of each contender over `rounds` rounds, after one round to warm up.
///
/// # Errors
///
/// The first failure of a contender.
pub fn alternate(contenders: &[Contender<'_>], rounds: usize) -> Result<Vec<Cost>, String> {
    let mut costs = vec![Vec::with_capacity(rounds); contenders.len()];
    for contender in contenders {
        contender()?;
    }
    for round in 0..rounds.max(1) {
        for turn in 0..contenders.len() {
            // Nobody always comes after the same other.
            let next = (turn + round) % contenders.len();
            let (wall, cpu) = (Instant::now(), ProcessTime::now());
            contenders[next]()?;
            costs[next].push(Cost {
                wall: wall.elapsed(),
                cpu: cpu.elapsed(),
            });
        }
    }
    Ok(costs
        .iter()
        .map(|costs| Cost {
            wall: median(costs.iter().map(|cost| cost.wall)),
            cpu: median(costs.iter().map(|cost| cost.cpu)),
        })
        .collect())
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    let middle = times.len() / 2;
    if times.len() % 2 == 1 {
        times[middle]
    } else {
        (times[middle - 1] + times[middle]) / 2
    }
}
