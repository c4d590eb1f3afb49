//! A PostgreSQL server of the tests' own: made in a temporary folder, reached over loopback, gone with the tests.
//!
//! `TRAWL_TEST_POSTGRES=postgres://…` uses a server that is there already; its user must be allowed to make databases.
//! A server refuses to run as root, so it gets the ids of `postgres` or `nobody`. A shell holds it: when the shell's
//! standard input ends (the test process dropped it, or died), the server is stopped and its folder removed.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::NoTls;

/// Holds the server: `$1` is the folder of its programs, `$2` its own, `$3` its arguments.
const HOLD: &str = r#"
bin=$1; folder=$2
if "$bin/pg_ctl" start -w -t 60 -D "$folder/data" -l "$folder/log" -o "$3" </dev/null >/dev/null 2>&1
then echo ready
else echo failed; cat "$folder/log"
fi
exec >/dev/null
read -r _
"$bin/pg_ctl" stop -w -m immediate -D "$folder/data" >/dev/null 2>&1
rm -rf "$folder"
"#;

/// A running server.
pub(crate) struct Cluster {
    /// `postgres://user@host:port`, without a database.
    base: String,
    /// Absent for a server that was there already.
    own: Option<Own>,
}

struct Own {
    shell: Child,
    stdin: Option<ChildStdin>,
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Nothing to do about a shell that cannot be waited for.
        let _ = self.shell.wait();
    }
}

impl Cluster {
    /// The one server of this test process, started when it is first asked for.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("TRAWL_TEST_POSTGRES") {
            Ok(url) if !url.is_empty() => Self::existing(&url),
            _ => Self::start(&["-c", "fsync=off", "-c", "full_page_writes=off"]),
        })
    }

    /// A server that is there already.
    pub(crate) fn existing(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("TRAWL_TEST_POSTGRES is no URL");
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        Self { base: format!("{scheme}://{authority}"), own: None }
    }

    /// Starts a server that speaks TLS for `localhost`; its certificate is its own root, as PEM.
    pub(crate) fn start_tls() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::Builder::new().prefix("trawl-postgres-tls-").tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        // A server takes no key that others may read.
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
        if let Some((uid, gid)) = unprivileged() {
            for path in [folder.path(), &certificate, &key] {
                chown(path, Some(uid), Some(gid)).unwrap();
            }
        }
        let files = [("ssl_cert_file", &certificate), ("ssl_key_file", &key)]
            .map(|(name, path)| format!("-c {name}={}", path.display()));
        // The files are read at the start, and once more by nobody.
        (Self::start(&["-c ssl=on", &files[0], &files[1]]), made.cert.pem())
    }

    /// Starts a server with these arguments besides its own.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let bin = programs();
        loop {
            // A port that is free now may be taken before the server has it: then once more.
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            match hold(&bin, &data_folder(&bin), port, arguments) {
                Ok(own) => {
                    return Self { base: format!("postgres://trawl@127.0.0.1:{port}"), own: Some(own) };
                }
                Err(why) => assert!(why.contains("Address already in use"), "no server: {why}"),
            }
        }
    }

    /// Whether it was started here, and may be treated roughly.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The address of one of its databases.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.base)
    }

    /// Makes an empty database; its address.
    pub(crate) async fn database(&self) -> String {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("trawl_test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let (client, connection) = tokio_postgres::connect(&self.url("postgres"), NoTls).await.unwrap();
        let served = tokio::spawn(connection);
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        drop(client);
        served.await.unwrap().unwrap();
        self.url(&name)
    }
}

/// The folder of the newest server's programs.
fn programs() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin): &(u32, PathBuf)| bin.join("postgres").exists())
        .collect();
    versions.sort();
    match versions.pop() {
        Some((_, bin)) => bin,
        None => panic!(
            "these tests need PostgreSQL: install it (apt-get install postgresql) or set TRAWL_TEST_POSTGRES=postgres://…"
        ),
    }
}

/// Whom to run as: nobody else unless this is root.
fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    let myself = std::fs::metadata("/proc/self").ok()?.uid();
    if myself != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("neither `postgres` nor `nobody` is a user here"))
}

fn command(program: &Path, as_user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = as_user {
        command.uid(uid).gid(gid);
    }
    command
}

/// Makes a folder with an empty server in it.
fn data_folder(bin: &Path) -> PathBuf {
    let as_user = unprivileged();
    let folder = tempfile::Builder::new().prefix("trawl-postgres-").tempdir().unwrap().keep();
    if let Some((uid, gid)) = as_user {
        chown(&folder, Some(uid), Some(gid)).unwrap();
    }
    let made = command(&bin.join("initdb"), as_user)
        .current_dir(&folder)
        .args(["--username=trawl", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
        .arg(folder.join("data"))
        .output()
        .expect("initdb does not run");
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    folder
}

/// Starts the server of a folder; what it said if it does not start.
fn hold(bin: &Path, folder: &Path, port: u16, arguments: &[&str]) -> Result<Own, String> {
    let own = format!("-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=");
    let mut shell = command(Path::new("/bin/sh"), unprivileged())
        .current_dir(folder)
        .args(["-c", HOLD, "sh"])
        .arg(bin)
        .arg(folder)
        .arg(format!("{own} {}", arguments.join(" ")))
        // Signals to the tests' group (Ctrl-C) are not for it: it ends in its own order.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("no shell");
    let said = BufReader::new(shell.stdout.take().unwrap());
    let own = Own { stdin: shell.stdin.take(), shell };
    let mut lines = said.lines().map_while(Result::ok);
    match lines.next().as_deref() {
        Some("ready") => Ok(own),
        _ => Err(lines.collect::<Vec<_>>().join("\n")),
    }
}
