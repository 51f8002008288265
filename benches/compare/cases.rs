//! What is compared with what.

use std::error::Error;

use veracity::suite::{Assertion, Check, Dataset, VerificationSuite};

use crate::cheap::{cheap_checks, distinct_checks};
use crate::contender::Machine;
use crate::measure::Contender;

/// Something measured, beside what it is compared with.
pub struct Case<'a> {
    pub name: &'static str,
    pub meaning: &'static str,
    this: Run<'a>,
    reference: Option<Run<'a>>,
    /// Greatest ratio; without a reference, the longest wall time in milliseconds.
    pub target: Option<f64>,
}

type Run<'a> = Box<dyn Fn() -> Result<(), String> + 'a>;

impl Case<'_> {
    pub fn contenders(&self) -> Vec<Contender<'_>> {
        let mut contenders: Vec<Contender<'_>> = vec![&*self.this];
        if let Some(reference) = &self.reference {
            contenders.push(&**reference);
        }
        contenders
    }
}

const S1: &str = include_str!("../sql/s1-datafusion.sql");
const S2: &str = include_str!("../sql/s2.sql");
const REGEX: &str = "select count(case when not regexp_like(l_shipmode, '^[A-Z]+( [A-Z]+)?$') \
                     then 1 end) from lineitem";
const IN_SET: &str = "select count(case when l_shipinstruct not in \
                      ('COLLECT COD', 'DELIVER IN PERSON', 'NONE', 'TAKE BACK RETURN') \
                      then 1 end) from lineitem";

/// All cases, in the order they are measured.
pub fn cases(machine: &Machine) -> Result<Vec<Case<'_>>, Box<dyn Error>> {
    let verify = |suite: VerificationSuite| -> Run<'_> { Box::new(move || machine.verify(&suite)) };
    let plan = |suite: VerificationSuite| -> Run<'_> { Box::new(move || machine.plan(&suite)) };
    let query = |sql: &'static str| -> Run<'_> { Box::new(move || machine.query(sql)) };

    let s1 = machine.suite("s1")?;
    let mut s1_scan = s1.clone();
    s1_scan.checks.truncate(1);
    let (one_scan, _) = S1
        .split_once(';')
        .ok_or("the first query of S1 has an end")?;
    let s2 = machine.suite("s2")?;
    let mut s2_many = s2.clone();
    s2_many.checks.extend((1..5).map(cheap_checks));

    let alone = |assertion: &str| suite_of(machine, Check::new("Alone").assert(rows(assertion)));
    let regex = alone("matches(l_shipmode, '^[A-Z]+( [A-Z]+)?$')")?;
    let in_set = alone(
        "l_shipinstruct in ('COLLECT COD', 'DELIVER IN PERSON', 'NONE', 'TAKE BACK RETURN')",
    )?;
    let plan_500 = suite_of(machine, distinct_checks(500))?;
    let plan_5000 = suite_of(machine, distinct_checks(5000))?;
    Ok(vec![
        Case {
            name: "s1",
            meaning: "20 mixed checks / the queries a person writes",
            this: verify(s1),
            reference: Some(query(S1)),
            target: None,
        },
        Case {
            name: "s1-scan",
            meaning: "17 of them, without exact distinct counts / one query",
            this: verify(s1_scan),
            reference: Some(query(one_scan)),
            target: Some(1.05),
        },
        Case {
            name: "s2",
            meaning: "100 cheap checks / one query",
            this: verify(s2.clone()),
            reference: Some(query(S2)),
            target: None,
        },
        Case {
            name: "s2-500",
            meaning: "500 cheap checks / 100 of them",
            this: verify(s2_many),
            reference: Some(verify(s2)),
            target: Some(1.5),
        },
        Case {
            name: "regex",
            meaning: "a regex over 7 distinct texts / row by row",
            this: verify(regex),
            reference: Some(query(REGEX)),
            target: Some(0.3),
        },
        Case {
            name: "in-set",
            meaning: "an in-set rule over 4 distinct texts / row by row",
            this: verify(in_set),
            reference: Some(query(IN_SET)),
            target: Some(0.3),
        },
        Case {
            name: "read-text",
            meaning: "reading the text of the last two and nothing more",
            this: query("select l_shipmode from lineitem"),
            reference: Some(query("select l_shipinstruct from lineitem")),
            target: None,
        },
        Case {
            name: "plan-500",
            meaning: "planning 500 assertions",
            this: plan(plan_500),
            reference: None,
            target: Some(30.0),
        },
        Case {
            name: "plan-5000",
            meaning: "planning 5,000 assertions",
            this: plan(plan_5000),
            reference: None,
            target: Some(300.0),
        },
    ])
}

fn rows(predicate: &str) -> Assertion {
    Assertion::rows(predicate).into()
}

fn suite_of(machine: &Machine, check: Check) -> veracity::error::Result<VerificationSuite> {
    VerificationSuite::builder("bench")
        .dataset(Dataset::path("lineitem", machine.lineitem()))
        .check(check)
        .build()
}
