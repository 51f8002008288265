//! From the start of a server to its end.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use std::io::{BufRead, BufReader};

use veracity_servers::{Kind, Server, mariadb, postgres};

#[test]
fn each_test_gets_databases_of_its_own() {
    for server in [postgres().unwrap(), mariadb().unwrap()] {
        let (first, second) = (
            server.fresh_database().unwrap(),
            server.fresh_database().unwrap(),
        );
        server.execute_at(&first, "create table t (a int)").unwrap();
        server
            .execute_at(&first, "insert into t values (1)")
            .unwrap();
        let elsewhere = server.execute_at(&second, "insert into t values (1)");
        assert!(elsewhere.is_err(), "{}", server.kind());
    }
}

#[test]
fn a_server_that_was_stopped_starts_again_with_its_data() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let server = Server::start(kind, &[]).unwrap();
        let url = server.fresh_database().unwrap();
        server.execute_at(&url, "create table t (a int)").unwrap();
        server.stop().unwrap();
        assert!(TcpStream::connect(server.address()).is_err(), "{kind}");
        server.restart().unwrap();
        server.execute_at(&url, "insert into t values (1)").unwrap();
        server.terminate_connections(&url).unwrap();
    }
}

#[test]
fn a_setting_that_the_server_refuses_is_told() {
    for kind in [Kind::Postgres, Kind::MariaDb] {
        let error = Server::start(kind, &["no_such_setting=1"]).err().unwrap();
        assert!(
            error.contains("does not start") && error.replace("-", "_").contains("no_such_setting"),
            "{error}"
        );
    }
}

#[test]
fn servers_end_and_leave_nothing_when_their_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    // Another user has to get to the data.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_veracity-servers"))
        .env("TMPDIR", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(process.stdout.take().unwrap());
    let lines: Vec<String> = out.lines().take(2).map(Result::unwrap).collect();
    let addresses: Vec<&str> = lines
        .iter()
        .map(|line| {
            let (_, host) = line.split_once('@').unwrap();
            host.split('/').next().unwrap()
        })
        .collect();
    assert_eq!(addresses.len(), 2, "{lines:?}");
    for address in &addresses {
        TcpStream::connect(address).unwrap();
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let left = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !left().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(left(), Vec::<PathBuf>::new());
    for address in addresses {
        assert!(TcpStream::connect(address).is_err(), "{address}");
    }
}

#[test]
fn a_command_gets_the_urls_and_its_exit_code_is_passed_on() {
    let output = Command::new(env!("CARGO_BIN_EXE_veracity-servers"))
        .args(["sh", "-c"])
        .arg("echo $VERACITY_TEST_POSTGRES $VERACITY_TEST_MARIADB; exit 7")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(
        said.starts_with("postgres://") && said.contains(" mysql://"),
        "{said}"
    );
}
