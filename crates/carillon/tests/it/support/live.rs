//! Real servers for the tests: WordPress, a Bluesky PDS and PostgreSQL, started by the scripts of
//! `tests/live`, each private and on loopback.
//!
//! A script lives as long as its stdin is open. So a server goes with its [`Live`], and also when the test
//! process is killed; one kept in a `static` goes when the process ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Enough for a first start on a busy machine, which sets a site up from nothing.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running server, stopped on drop.
pub(crate) struct Live {
    /// What the script printed: address and account, see the script's header.
    pub(crate) info: Value,
    _server: Server,
}

impl Live {
    /// Starts `script`, a path inside `tests/live`, and waits until the server answers.
    ///
    /// # Panics
    /// When the script ends, or says nothing for 120 s; its own message is on stderr.
    pub(crate) fn start(script: &str) -> Live {
        let mut server = Server::spawn(script);
        let stdout = server.child.stdout.take().expect("stdout is piped");
        let (line_out, line_in) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line).map(|_| line);
            // The receiver is gone only after the time limit, which has been reported.
            line_out.send(read).ok();
        });
        let line = line_in
            .recv_timeout(START_LIMIT)
            .unwrap_or_else(|_| panic!("`{script}` was not ready after {START_LIMIT:?}"))
            .unwrap_or_else(|error| panic!("`{script}` could not be read: {error}"));
        reader.join().expect("the reader does not panic");
        let info = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("`{script}` said {line:?} instead of JSON: {error}"));
        Live { info, _server: server }
    }
}

/// The script's process and its folder. Dropped in this order: the process ends, then the folder goes.
struct Server {
    child: Child,
    _folder: TempDir,
}

impl Server {
    fn spawn(script: &str) -> Server {
        let folder = TempDir::with_prefix("carillon-live-").expect("a temporary folder");
        let path = scripts().join(script);
        let child = Command::new(&path)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", path.display()));
        Server { child, _folder: folder }
    }
}

/// The folder of the scripts, from whichever crate this is built into.
fn scripts() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut found = above.map(|a| a.join("crates/carillon/tests/live")).filter(|p| p.is_dir());
    found.next().expect("the scripts are in the checkout")
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        match self.child.wait() {
            Ok(status) if status.success() => {}
            Ok(status) => eprintln!("a live server ended with {status}"),
            Err(error) => eprintln!("a live server could not be waited for: {error}"),
        }
    }
}
