//! The examples of the README work as they stand there.

use std::path::Path;

use veracity::engine::Engine;
use veracity::prelude::Status;
use veracity::suite::file;

fn yaml_blocks() -> Vec<String> {
    let readme = include_str!("../../README.md");
    readme
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(block, _)| block.to_owned()))
        .collect()
}

#[test]
fn the_first_suite_of_the_readme_runs_on_the_example_data() {
    let blocks = yaml_blocks();
    let suite = file::parse(&blocks[0], "README.md", &|_| None)
        .unwrap()
        .suite;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let engine = Engine::builder().base(examples).build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = runtime.block_on(suite.run(&engine));
    let statuses: Vec<(&str, Status)> = report
        .results
        .iter()
        .map(|result| (result.assertion.as_str(), result.status))
        .collect();
    assert_eq!(
        statuses,
        [
            ("row_count() between 300000 and 400000", Status::Passed),
            (
                "completeness(tailnum) filter (where carrier = 'B6') >= 0.99",
                Status::Passed
            ),
            ("avg(dep_delay) < 2 * stddev(dep_delay)", Status::Passed),
            ("rows: sched_dep_time between 0 and 2359", Status::Passed),
            ("every plane is registered", Status::Failed),
        ]
    );
}

#[test]
fn the_picture_of_the_readme_is_what_the_program_prints() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```text\n").unwrap();
    let (picture, _) = rest.split_once("```").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_veracity"))
        .args(["run", "examples/nycflights.yaml"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    // The first line ends with the date, the last with the time it took.
    let without_times = |text: &str| -> Vec<String> {
        let lines = text.trim_end().lines().skip(1);
        lines
            .map(|line| line.split("  in ").next().unwrap_or(line).to_owned())
            .collect()
    };
    assert_eq!(without_times(picture), without_times(&printed));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_other_suites_of_the_readme_are_valid() {
    for block in &yaml_blocks()[1..] {
        let suite = file::parse(block, "README.md", &|_| None).unwrap().suite;
        veracity::serve_if_worker();
        veracity::delivery::host(&suite, Path::new("."), "").unwrap();
    }
}

#[test]
fn the_processor_of_the_readme_is_the_one_of_the_examples() {
    let readme = include_str!("../../README.md");
    for file in [
        include_str!("../../examples/custom-processor/src/lib.rs"),
        include_str!("../../examples/custom-processor/src/main.rs"),
    ] {
        assert!(
            readme.contains(file),
            "the README shows another text than\n{file}"
        );
    }
}
