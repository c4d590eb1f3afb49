//! A PostgreSQL server of a benchmark's own, gone when dropped, with the time of each statement counted.

use crate::shell::ask;
use anyhow::{Context, Result, bail};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

/// The server.
pub(super) struct Database {
    bin: PathBuf,
    home: PathBuf,
    /// Its address.
    pub(super) url: String,
    port: u16,
}

impl Database {
    /// Makes and starts one in a temporary folder. Root hands it to `postgres`, since it refuses to run as root.
    pub(super) fn start() -> Result<Self> {
        let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .context("PostgreSQL is not there: apt-get install postgresql")?
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .filter(|bin| bin.join("initdb").exists())
            .collect();
        found.sort();
        let bin = found.pop().context("PostgreSQL is not there: apt-get install postgresql")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        // Elsewhere than the checkout, into which `postgres` may not look.
        let home = std::env::temp_dir().join(format!("trawl-bench-pg-{}", std::process::id()));
        std::fs::create_dir_all(&home)?;
        let url = format!("postgres://trawl@127.0.0.1:{port}/trawl");
        let database = Self { bin, home, url, port };
        if is_root() {
            command("chown", &["postgres", &database.home.to_string_lossy()])?;
        }
        let data = database.data();
        database
            .program("initdb", &["-D", &data, "-A", "trust", "-U", "trawl", "-E", "UTF8", "--no-sync"])?;
        let options = format!(
            "-p {port} -k {} -c listen_addresses=127.0.0.1 -c max_connections=100 -c shared_buffers=256MB \
             -c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.track_planning=on",
            database.home.display()
        );
        let log = database.home.join("log").to_string_lossy().into_owned();
        database.program("pg_ctl", &["-D", &data, "-l", &log, "-w", "-o", &options, "start"])?;
        database.sql_in("postgres", "CREATE DATABASE trawl")?;
        database.sql("CREATE EXTENSION pg_stat_statements")?;
        Ok(database)
    }

    /// Forgets the times so far.
    pub(super) fn reset(&self) -> Result<()> {
        self.sql("SELECT pg_stat_statements_reset()").map(drop)
    }

    /// Milliseconds that statements of the database took since.
    pub(super) fn spent_ms(&self) -> Result<f64> {
        let sql = "SELECT coalesce(sum(total_exec_time + total_plan_time), 0) FROM pg_stat_statements s
                   JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = 'trawl'";
        Ok(self.sql(sql)?.trim().parse()?)
    }

    fn data(&self) -> String {
        self.home.join("data").to_string_lossy().into_owned()
    }

    fn sql(&self, text: &str) -> Result<String> {
        self.sql_in("trawl", text)
    }

    fn sql_in(&self, database: &str, text: &str) -> Result<String> {
        let port = self.port.to_string();
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "trawl", "-d", database, "-qAt", "-c", text]);
        ask(&mut psql).with_context(|| format!("psql refused: {text}"))
    }

    fn program(&self, name: &str, words: &[&str]) -> Result<()> {
        let program = self.bin.join(name).to_string_lossy().into_owned();
        if is_root() {
            let mut all = vec!["-u", "postgres", "--", &program];
            all.extend(words);
            return command("runuser", &all);
        }
        command(&program, words)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // What cannot be stopped ends with the machine; the folder is temporary.
        let _ = self.program("pg_ctl", &["-D", &self.data(), "-m", "immediate", "stop"]);
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn is_root() -> bool {
    ask(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0")
}

fn command(program: &str, words: &[&str]) -> Result<()> {
    let quiet = std::process::Stdio::null;
    let status = Command::new(program)
        .args(words)
        .current_dir(std::env::temp_dir())
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .status()
        .with_context(|| format!("starting {program}"))?;
    if status.success() { Ok(()) } else { bail!("{program} ended with {status}") }
}
