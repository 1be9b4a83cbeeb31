//! A PostgreSQL of our own, on loopback and in a temporary folder, that can be stopped at once and
//! started again. It is durable as shipped: fsync and synchronous_commit stay on.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

pub(crate) struct Server {
    home: TempDir,
    bin: PathBuf,
    pub address: SocketAddr,
    /// Stops the server when our end of its pipe closes, also when this process is killed.
    guard: Child,
}

impl Server {
    /// A new cluster, running.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let bin = newest_bin()?;
        let home = TempDir::with_prefix("carillon-postgres-")?;
        let own = |path: &Path| -> anyhow::Result<()> {
            if user().is_some() {
                run(Command::new("chown").arg("-R").arg("postgres").arg(path))?;
            }
            Ok(())
        };
        own(home.path())?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let data = home.path().join("data");
        run(as_user(&bin.join("initdb"))
            .arg("-D")
            .arg(&data)
            .args(["-U", "carillon", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
            .arg("--no-sync"))?;
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nmax_connections = 100\n"
        );
        std::fs::write(data.join("postgresql.auto.conf"), settings)?;
        own(&data)?;
        let stop = format!(
            "cat >/dev/null; exec \"$0\" stop -m immediate -s -D \"{}\" 2>/dev/null",
            data.display()
        );
        let guard = as_user(Path::new("/bin/sh"))
            .args(["-c", &stop])
            .arg(bin.join("pg_ctl"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { home, bin, address: ([127, 0, 0, 1], port).into(), guard };
        server.resume()?;
        Ok(server)
    }

    pub(crate) fn url(&self, address: SocketAddr, schema: &str) -> String {
        format!("postgres://carillon@{address}/postgres?options=-c%20search_path%3D{schema}")
    }

    /// As a power cut would: nobody is told, nothing is finished.
    pub(crate) fn stop_at_once(&self) -> anyhow::Result<()> {
        self.control(&["stop", "-m", "immediate"])
    }

    /// Starts it; returns when it answers.
    pub(crate) fn resume(&self) -> anyhow::Result<()> {
        let log = self.home.path().join("log");
        let log = log.to_str().context("a path of plain text")?.to_owned();
        self.control(&["start", "-w", "-l", &log])
    }

    fn control(&self, args: &[&str]) -> anyhow::Result<()> {
        let mut command = as_user(&self.bin.join("pg_ctl"));
        run(command.args(args).arg("-s").arg("-D").arg(self.home.path().join("data")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        if let Err(e) = self.guard.wait() {
            eprintln!("the PostgreSQL of rung 6 could not be waited for: {e}");
        }
    }
}

fn newest_bin() -> anyhow::Result<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .context("PostgreSQL is not installed: run scripts/install postgres")?
        .filter_map(|e| Some(e.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    match found.pop() {
        Some(bin) => Ok(bin),
        None => bail!("PostgreSQL is not installed: run scripts/install postgres"),
    }
}

/// PostgreSQL refuses to be root.
fn user() -> Option<&'static str> {
    let id = Command::new("id").arg("-u").output().ok()?;
    (id.stdout == b"0\n").then_some("postgres")
}

fn as_user(program: &Path) -> Command {
    let Some(user) = user() else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", user, "--init-groups", "--"]).arg(program);
    command.current_dir("/");
    command
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    // Its server inherits what it is given: a pipe would never close.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.with_context(|| format!("{command:?} cannot be started"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}
