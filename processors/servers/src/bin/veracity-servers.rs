//! Starts PostgreSQL and MariaDB for tests that run in many processes.
//!
//! `veracity-servers COMMAND ..` runs the command with the URLs of both in its environment
//! and ends as it does. `veracity-servers` alone prints the URLs, as lines for a shell, and
//! keeps the servers until its standard input ends. They end with it in any case.

use std::io::{self, Read, Write};
use std::process::{Command, ExitCode};
use std::thread;

use veracity_servers::{Kind, Server};

fn main() -> ExitCode {
    match serve() {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<ExitCode, String> {
    let postgres = thread::spawn(|| Server::start(Kind::Postgres, &["max_connections=300"]));
    let mariadb = Server::start(Kind::MariaDb, &["max-connections=300"])?;
    let postgres = postgres
        .join()
        .map_err(|_| "PostgreSQL could not be started".to_owned())??;
    let servers = [&postgres, &mariadb];
    let mut words = std::env::args_os().skip(1);
    if let Some(program) = words.next() {
        let variables = servers.map(|server| (server.kind().variable(), server.url()));
        let status = Command::new(&program)
            .args(words)
            .envs(variables)
            .status()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
    }
    let mut out = io::stdout();
    for server in servers {
        writeln!(
            out,
            "export {}='{}'",
            server.kind().variable(),
            server.url()
        )
        .map_err(|error| error.to_string())?;
    }
    out.flush().map_err(|error| error.to_string())?;
    io::stdin()
        .read_to_end(&mut Vec::new())
        .map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}
